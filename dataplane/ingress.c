/* SPDX-License-Identifier: Apache-2.0 */
// Keeps the host's own stack from a netdev that is read by AF_PACKET, which only listens: each
// frame goes on to the stack, too, past the guard. A traffic control program at the ingress, behind
// where AF_PACKET listens, drops them. (With AF_XDP the XDP program sees to that.)
#include <errno.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dataplane/internal.h"

static int load_program(void)
{
    struct bpf_insn insns[] = {
        // return TC_ACT_SHOT
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_SHOT},
        {.code = BPF_JMP | BPF_EXIT},
    };

    return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "sluice", "Dual BSD/GPL", insns, RTE_DIM(insns),
                         NULL);
}

int ingress_block(int ifindex)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
    LIBBPF_OPTS(bpf_tc_opts, filter, .handle = 1, .priority = 1, .flags = BPF_TC_F_REPLACE);
    int ret = bpf_tc_hook_create(&hook), program;

    if (ret && ret != -EEXIST)
        return ret;
    program = load_program();
    if (program < 0)
        return program;
    filter.prog_fd = program;
    ret = bpf_tc_attach(&hook, &filter);
    close(program);
    if (ret)
        return ret;
    // A daemon that was killed may have left its XDP program: AF_PACKET would see nothing.
    bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL);
    bpf_xdp_detach(ifindex, XDP_FLAGS_SKB_MODE, NULL);
    return 0;
}

void ingress_unblock(int ifindex)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
    LIBBPF_OPTS(bpf_tc_opts, filter, .handle = 1, .priority = 1);

    bpf_tc_detach(&hook, &filter); // the netdev may be gone: nothing to do
}
