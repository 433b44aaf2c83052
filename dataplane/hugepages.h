/* SPDX-License-Identifier: Apache-2.0 */
// The huge pages that DPDK's memory is made of. The kernel zeroes each when it is taken, 0.2 ms for
// 2 MiB: to take all of the node's at once was a third of a restart's time. So EAL begins with what
// is needed at once; the rest is only reserved, which costs nothing, and taken when DPDK's heap
// grows.
#pragma once

// Are memory_mb free, in MiB? Returns how much EAL is to take at its start, start_mb or all, and
// reserves the rest. 0: they are not.
unsigned hugepages_reserve(unsigned memory_mb, unsigned start_mb);
// Once all that is made at the start is there: what the heap grows by comes out of the reservation.
void hugepages_lend(void);
