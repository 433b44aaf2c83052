/* SPDX-License-Identifier: Apache-2.0 */
// Any bytes as a frame that the workers handed to the control thread. (No more than a punt holds.)
#include "control/frames.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neighbour_answer answer;

    if (frame_read_answer(data, size, &answer))
        check(rte_is_valid_assigned_ether_addr(&answer.mac), "the MAC is a station's");
    return 0;
}
