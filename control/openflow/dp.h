/* SPDX-License-Identifier: Apache-2.0 */
// The dataplane's headers beside OVS's. Both have a struct rule and a struct match; here the
// dataplane's are struct sluice_rule and struct sluice_match (with the member `sluice_match`). To
// be included before anything else that knows dataplane/.
#pragma once

#define rule  sluice_rule
#define match sluice_match
#include "control/rules.h"
#include "dataplane/dataplane.h"
#undef rule
#undef match
