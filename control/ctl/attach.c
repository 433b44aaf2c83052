/* SPDX-License-Identifier: Apache-2.0 */
// attach and detach by hand: what the CNI plugin asks of the daemon for a container.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/value.h"

// Adds a member to params if its option was given.
static void put_option(const struct ctl *ctl, const char *option, const char *member,
                       struct json *params)
{
    const char *value = ctl_value(ctl, option);

    if (value)
        json_object_put_string(params, member, value);
}

static struct json *addresses(const struct ctl *ctl)
{
    struct json *ips = json_array_create_empty();

    for (unsigned i = 0; i < ctl->n_given; i++)
        if (!strcmp(ctl->given[i].name, "ip"))
            json_array_add(ips, json_string_create(ctl->given[i].value));
    return ips;
}

static void print_attachment(const struct json *result)
{
    char *gateways = value_join(result, "gateways");

    printf("attached as port %" PRIu64 ", driver %s\n", value_number(result, "port"),
           value_string(result, "driver"));
    printf("gateways %s, with the MAC address %s\n", gateways, value_string(result, "router_mac"));
    free(gateways);
}

static enum ctl_exit attach(const struct ctl *ctl)
{
    static const char *const required[] = {"container-id", "ifname", "mac", "ip"};
    unsigned mtu = 0;
    struct json *params, *result;
    enum ctl_exit exit;

    for (size_t i = 0; i < sizeof required / sizeof *required; i++)
        if (!ctl_has(ctl, required[i]))
            return ctl_usage_error(ctl->verb, "--%s is missing", required[i]);
    if (ctl_has(ctl, "netdev") == ctl_has(ctl, "devargs"))
        return ctl_usage_error(ctl->verb, "give one of --netdev and --devargs");
    if (ctl_has(ctl, "mtu") && !ctl_number(ctl_value(ctl, "mtu"), 1, UINT16_MAX, &mtu))
        return ctl_usage_error(ctl->verb, "--mtu %s: not a whole number from 1 to 65535",
                               ctl_value(ctl, "mtu"));

    params = json_object_create();
    put_option(ctl, "container-id", "container_id", params);
    put_option(ctl, "ifname", "ifname", params);
    put_option(ctl, "netdev", "netdev", params);
    put_option(ctl, "devargs", "devargs", params);
    put_option(ctl, "mac", "mac", params);
    put_option(ctl, "pod", "pod", params);
    json_object_put(params, "ips", addresses(ctl));
    if (mtu)
        json_object_put(params, "mtu", json_integer_create(mtu));

    exit = ctl_call(ctl, "attach", params, &result);
    if (exit != CTL_OK)
        return exit;
    if (ctl->json)
        ctl_print_json(result);
    else
        print_attachment(result);
    json_destroy(result);
    return CTL_OK;
}

static const struct ctl_option attach_options[] = {
    {"container-id", "ID", "the container"},
    {"ifname", "NAME", "its interface's name in the container"},
    {"netdev", "NAME", "the kernel netdev on the host's side of it, or"},
    {"devargs", "DEVARGS", "the DPDK device: a PCI address, a vdev"},
    {"mac", "MAC", "the interface's MAC address in the container"},
    {"ip", "ADDRESS", "an address of it, without a length; may be repeated"},
    {"mtu", "BYTES", "the interface's MTU (default: the node file's)"},
    {"pod", "NAME", "a name for people, by custom NAMESPACE/NAME"},
    {NULL, NULL, NULL},
};

const struct ctl_verb ctl_attach = {
    .name = "attach",
    .summary = "Attach a container's interface by hand",
    .help = "The interface is there already; a route to the gateway and the neighbours in the\n"
            "container are the caller's work. Repeating an attach changes nothing. Needs root.\n"
            "\n"
            "Example: a network namespace as a pod.\n"
            "  ip netns add red\n"
            "  ip link add red0 type veth peer name eth0 address 0a:58:0a:01:0a:05 netns red\n"
            "  ip link set red0 up\n"
            "  sluicectl attach --container-id red --ifname eth0 --netdev red0 \\\n"
            "      --mac 0a:58:0a:01:0a:05 --ip 10.1.10.5\n"
            "  ip -n red address add 10.1.10.5/32 dev eth0\n"
            "  ip -n red link set eth0 up\n"
            "  ip netns exec red ethtool -K eth0 tx off\n"
            "  ip -n red route add 10.1.10.1 dev eth0\n"
            "  ip -n red route add default via 10.1.10.1\n",
    .options = attach_options,
    .run = attach,
};

static enum ctl_exit detach(const struct ctl *ctl)
{
    struct json *params, *result;
    enum ctl_exit exit;

    if (!ctl_has(ctl, "container-id") || !ctl_has(ctl, "ifname"))
        return ctl_usage_error(ctl->verb, "--%s is missing",
                               ctl_has(ctl, "ifname") ? "container-id" : "ifname");
    params = json_object_create();
    put_option(ctl, "container-id", "container_id", params);
    put_option(ctl, "ifname", "ifname", params);
    exit = ctl_call(ctl, "detach", params, &result);
    if (exit != CTL_OK)
        return exit;
    if (ctl->json)
        ctl_print_json(result);
    else
        puts(value_bool(result, "detached") ? "detached" : "was not attached");
    json_destroy(result);
    return CTL_OK;
}

static const struct ctl_option detach_options[] = {
    {"container-id", "ID", "the container, in full"},
    {"ifname", "NAME", "its interface's name in the container"},
    {NULL, NULL, NULL},
};

const struct ctl_verb ctl_detach = {
    .name = "detach",
    .summary = "Detach a container's interface by hand",
    .help = "To detach what is not attached succeeds, so that it can be repeated. Needs root.\n"
            "\n"
            "Example:\n"
            "  sluicectl detach --container-id red --ifname eth0\n",
    .options = detach_options,
    .run = detach,
};
