/* SPDX-License-Identifier: Apache-2.0 */
// What the e-switch changes in a frame.
#pragma once

#include <stdint.h>

#include "offload/esw/packet.h"
#include "offload/esw/table.h"

// Does the operation, if it is one that changes the frame and the frame has what is to be changed.
// The frame has room for one VLAN tag more; its length may change. `key` and `headers` are those of
// the frame as it is; they are to be read anew afterwards.
void esw_rewrite(uint8_t *frame, uint32_t *length, const struct esw_key *key,
                 const struct esw_headers *headers, const struct esw_op *op);
