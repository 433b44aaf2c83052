/* SPDX-License-Identifier: Apache-2.0 */
// Packets to controllers and from them.
#include "control/openflow/internal.h"

#include "dp-packet.h"
#include "ofproto/connmgr.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-packet.h"
#include "openvswitch/ofp-prop.h"
#include "util.h"

#define PACKET_INS_A_TURN 256

struct packet_out {
    struct action actions[RULE_ACTIONS_MAX];
    uint8_t n;
};

enum ofperr openflow_packet_xlate(struct ofproto *ofproto, struct ofproto_packet_out *out)
{
    static const struct action_context context = {.place = IN_PACKET_OUT};
    struct packet_out *translated = xzalloc(sizeof(*translated));
    enum ofperr error = translate_actions(out->ofpacts, out->ofpacts_len, &context,
                                          translated->actions, &translated->n);

    (void)ofproto;
    if (!error && out->packet->packet_type != htonl(PT_ETH))
        error = OFPERR_OFPBRC_BAD_PACKET;
    if (error)
        free(translated);
    else
        out->aux = translated;
    return error;
}

void openflow_packet_xlate_revert(struct ofproto *ofproto, struct ofproto_packet_out *out)
{
    (void)ofproto;
    free(out->aux);
    out->aux = NULL;
}

void openflow_packet_execute_prepare(struct ofproto *ofproto, struct ofproto_packet_out *out)
{
    (void)ofproto;
    (void)out;
}

void openflow_packet_execute(struct ofproto *ofproto, struct ofproto_packet_out *out)
{
    struct packet_out *translated = out->aux;

    (void)ofproto;
    if (translated == NULL) // taken back
        return;
    dp_packet_out(port_from_ofp(out->flow->in_port.ofp_port), translated->actions, translated->n,
                  dp_packet_data(out->packet), dp_packet_size(out->packet));
    free(translated);
    out->aux = NULL;
}

// Of a frame that is longer than what the workers handed over, the rest is zeroes that are cut off
// again when the message is made (transaction.c): so the message tells the frame's whole length.
static void send_packet_in(struct dp_packet_in *in)
{
    bool cut = in->len > in->data_len;
    void *frame = cut ? xzalloc(in->len) : in->data;
    struct ofproto_async_msg message = {
        .controller_id = in->controller,
        .oam = OAM_PACKET_IN,
        .pin =
            {
                .up.base =
                    {
                        .packet = frame,
                        .packet_len = in->len,
                        .reason = in->reason,
                        .table_id = in->table,
                        .cookie = htonll(in->cookie),
                    },
                .max_len = in->data_len,
            },
    };
    struct match *metadata = &message.pin.up.base.flow_metadata;

    if (cut)
        memcpy(frame, in->data, in->data_len);
    match_init_catchall(metadata);
    match_set_in_port(metadata, port_to_ofp(in->in_port));
    if (in->metadata)
        match_set_metadata(metadata, in->metadata);
    for (unsigned i = 0; i < RULE_REGS; i++) {
        if (in->reg[i])
            match_set_reg(metadata, i, ntohl(in->reg[i]));
    }
    connmgr_send_async_msg(openflow_switch->connmgr, &message); // takes copies
    if (cut)
        free(frame);
}

struct ofpbuf *packet_in_encode(const struct ofputil_packet_in_private *pin,
                                enum ofputil_protocol protocol,
                                enum ofputil_packet_in_format format, packet_in_encoder *encode)
{
    const struct ofproto_async_msg *message = CONTAINER_OF(pin, struct ofproto_async_msg, pin.up);
    size_t cut = pin->base.packet_len - message->pin.max_len;
    struct ofputil_packet_in_private shorter;
    struct ofpbuf *encoded;

    if (format != OFPUTIL_PACKET_IN_NXT2) { // the frame is the message's end
        encoded = encode(pin, protocol, format);
        encoded->size -= cut;
    } else {
        shorter = *pin;
        shorter.base.packet_len -= cut;
        encoded = encode(&shorter, protocol, format);
        if (cut)
            ofpprop_put_u32(encoded, NXPINT_FULL_LEN, pin->base.packet_len);
    }
    ofpmsg_update_length(encoded);
    return encoded;
}

bool packet_ins_run(void)
{
    struct dp_packet_in in;
    int n;

    for (n = 0; n < PACKET_INS_A_TURN && dp_packet_in_recv(&in); n++)
        send_packet_in(&in);
    return n > 0;
}
