/* SPDX-License-Identifier: Apache-2.0 */
// What libopenvswitch, which knows nothing of ours, takes a frame for.
#pragma once

#include "dataplane/rule.h"

// `known`: the fields that it has of a frame of this kind; of the others it keeps something else.
void reference_extract(const void *frame, size_t len, struct match_fields *fields,
                       struct match_fields *known);
