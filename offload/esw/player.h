/* SPDX-License-Identifier: Apache-2.0 */
// Packets for a wire or VF that come from no netdev: played from a pcap file, or made up. And what
// goes out, into a pcap file.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct esw_player;

// `pcap:IN+OUT`, each may be left out: IN's frames once, in their order, without their pauses; or
// `gen:FLOWS`: UDP in IPv4, 64 bytes with the checksum that Ethernet adds, from 198.18.0.1 to so
// many addresses from 198.19.0.1 on (RFC 2544 appendix C.2.2), in turn and without end; beyond
// 65,536 to the same with other source ports, up to a million. `mac`: what the frames of gen have
// as source. 0, or a negative errno.
int esw_player_open(const char *spec, const uint8_t mac[6], struct esw_player **player);
void esw_player_close(struct esw_player *player); // NULL is fine
// The next frame, of at most `size` bytes; 0: there is none.
uint32_t esw_player_next(struct esw_player *player, uint8_t *frame, uint32_t size);
// From the first frame again.
void esw_player_rewind(struct esw_player *player);
// Writes a frame to OUT, if there is one. 0, or a negative errno.
int esw_player_record(struct esw_player *player, const uint8_t *frame, uint32_t length);
