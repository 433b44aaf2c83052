/* SPDX-License-Identifier: Apache-2.0 */
// What drivers that every machine has say to transfer rules, and what becomes of it in
// offload_why_not.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ethdev.h>

#include "offload/offload.h"

static int port_of(uint16_t port, struct offload_port *info)
{
    info->ethdev = port - 1;
    return 0;
}

static void expect(const char *name, const char *devargs, const char *why_not)
{
    struct rule rule = {.table = RULE_TABLE_GUARD, .priority = 1, .n_actions = 1};
    struct offload_rule *orule;
    uint16_t ethdev;

    if (rte_eal_hotplug_add("vdev", name, devargs) || rte_eth_dev_get_port_by_name(name, &ethdev)) {
        print_message("%s cannot be opened here\n", name);
        skip();
    }
    rule.match.in_port = ethdev + 1;
    rule.actions[0] = (struct action){.type = ACTION_DROP};
    offload_init(OFFLOAD_AUTO, port_of);
    orule = offload_add(&rule);
    assert_non_null(orule);
    assert_false(offload_in_nic(orule));
    assert_string_equal(offload_why_not(orule), why_not);
    offload_remove(orule);
    assert_int_equal(rte_eal_hotplug_remove("vdev", name), 0);
}

static void test_null(void **state)
{
    (void)state;
    expect("net_null0", "", "net_null has no rte_flow, so no rule can be in it");
}

// Needs root and /dev/net/tun.
static void test_tap(void **state)
{
    char devargs[64];

    (void)state;
    snprintf(devargs, sizeof(devargs), "iface=ofl%d", (int)(getpid() % 100000));
    expect("net_tap0", devargs, "net_tap does not take transfer rules: transfer is not supported");
}

int main(void)
{
    char *eal[] = {"offload_driver_test", "--no-huge", "--no-pci", "--no-shconf",
                   "--no-telemetry",      "-m",        "64",       "--log-level=*:error"};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_null), cmocka_unit_test(test_tap)};
    int failed;

    if (rte_eal_init(RTE_DIM(eal), eal) < 0) {
        puts("1..0 # SKIP DPDK does not start here");
        return 0;
    }
    failed = cmocka_run_group_tests_name("offload_driver", tests, NULL, NULL);
    rte_eal_cleanup();
    return failed;
}
