/* SPDX-License-Identifier: Apache-2.0 */
// The parameters of requests on the control socket: what is missing, unknown, of the wrong type or
// out of range is refused, with the member's name.
#pragma once

#include "config/state.h"
#include "control/fault.h"

struct json;

// Each takes the request's `params` and returns 0, or -1 with *fault.

// Of the reading methods: nothing, `[]` or `[{}]`.
int params_none(const struct json *params, struct fault *fault);
// Of attach. mtu is 0 and pod "" if they are not given.
int params_attach(const struct json *params, struct attachment *attachment, struct fault *fault);
// Of detach: container_id and ifname.
int params_detach(const struct json *params, struct attachment *attachment, struct fault *fault);

// Of check: what is given is to be compared.
struct check_params {
    struct attachment expected;
    bool netdev, mac, ips; // given
};
int params_check(const struct json *params, struct check_params *check, struct fault *fault);
