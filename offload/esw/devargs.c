/* SPDX-License-Identifier: Apache-2.0 */
#include "offload/esw/devargs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_kvargs.h>
#include <rte_version.h>

// What is known only when all are read.
struct parser {
    struct esw_devargs *result;
    unsigned allow_duplicates; // 2: as the mode has it
    bool lag_given;
};

static int parse_number(const char *key, const char *value, unsigned max, unsigned *number)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end || n > max) {
        ESW_LOG(ERR, "%s=%s: not a number from 0 to %u\n", key, value, max);
        return -EINVAL;
    }
    *number = (unsigned)n;
    return 0;
}

static int parse_fault(struct esw_faults *faults, const char *key, const char *value)
{
    uint32_t max = 0;
    int ret = esw_fault_set(faults, key, value);

    if (ret == -ENOENT)
        ESW_LOG(ERR, "%s=%s: there is no argument of this name\n", key, value);
    else if (ret && esw_fault_max(key, &max))
        ESW_LOG(ERR, "%s=%s: not a number from 0 to %u\n", key, value, max);
    else if (ret)
        ESW_LOG(ERR, "%s=%s: not names of items and actions that it knows, with + between\n", key,
                value);
    return ret;
}

static int parse_argument(const char *key, const char *value, void *arg)
{
    struct parser *parser = arg;
    struct esw_devargs *result = parser->result;
    unsigned cpu = 0;
    int ret;

    if (!value)
        value = "";
    if (!strcmp(key, "wire0")) {
        result->wires[0] = value;
    } else if (!strcmp(key, "wire1")) {
        result->wires[1] = value;
    } else if (!strcmp(key, "vf")) {
        result->vf = value;
    } else if (!strcmp(key, "vfs")) {
        return parse_number(key, value, ESW_VFS_MAX, &result->n_vfs);
    } else if (!strcmp(key, "cpu")) {
        ret = parse_number(key, value, CPU_SETSIZE - 1, &cpu);
        result->cpu = (int)cpu;
        return ret;
    } else if (!strcmp(key, "persist")) {
        return parse_number(key, value, 1, &result->persist);
    } else if (!strcmp(key, "mode")) {
        ret = esw_mode_parse(value, &result->mode);
        if (ret)
            ESW_LOG(ERR, "mode=%s: none of ideal, mlx5-sws, mlx5-hws\n", value);
        return ret;
    } else if (!strcmp(key, "allow_duplicate_pattern")) {
        return parse_number(key, value, 1, &parser->allow_duplicates);
    } else if (!strcmp(key, "absent")) {
        result->absent = value;
    } else if (!strcmp(key, "control")) {
        result->control = value;
    } else if (strcmp(key, "representor")) {
        parser->lag_given |= !strcmp(key, "counter_lag_ms");
        return parse_fault(&result->faults, key, value);
    }
    return 0;
}

// Guide of mlx5, allow_duplicate_pattern: 1 by default, and then the older rule wins. With hardware
// steering the newer does (mlx5dr links a rule of the same match before the others).
static enum esw_duplicates duplicates_of(const struct parser *parser)
{
    if (parser->allow_duplicates == 0)
        return ESW_DUPLICATES_REFUSED;
    if (parser->result->mode == ESW_MODE_MLX5_HWS)
        return ESW_DUPLICATES_NEWEST_WINS;
    if (parser->result->mode == ESW_MODE_MLX5_SWS || parser->allow_duplicates == 1)
        return ESW_DUPLICATES_OLDEST_WINS;
    return ESW_DUPLICATES_REFUSED;
}

struct rte_kvargs *esw_devargs_parse(const char *name, const char *args, struct esw_devargs *result)
{
    struct parser parser = {.result = result, .allow_duplicates = 2};
    struct rte_kvargs *list = rte_kvargs_parse(args, NULL);

    *result = (struct esw_devargs){.wires = {"null"}, .cpu = -1};
    esw_fault_init(&result->faults);
    if (!list) {
        ESW_LOG(ERR, "%s: %s: malformed arguments\n", name, args);
        return NULL;
    }
    if (rte_kvargs_process(list, NULL, parse_argument, &parser)) {
        rte_kvargs_free(list);
        return NULL;
    }
    result->duplicates = duplicates_of(&parser);
    if (result->mode != ESW_MODE_IDEAL && !parser.lag_given)
        result->faults.counter_lag_ms = 500; // svc_cycle_time of mlx5's guide
    return list;
}

static int parse_representors(const char *args, struct rte_eth_devargs *list)
{
    memset(list, 0, sizeof(*list));
#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
    return rte_eth_devargs_parse(args, list, 1) < 0 ? -EINVAL : 0;
#else
    return rte_eth_devargs_parse(args, list) ? -EINVAL : 0;
#endif
}

static int make_all(struct esw *esw, struct esw_port *ports, unsigned n_ports, const char *what,
                    const uint16_t numbers[], unsigned n, int (*make)(struct esw_port *))
{
    int ret = 0;

    for (unsigned i = 0; !ret && i < n; i++) {
        if (numbers[i] >= n_ports) {
            ESW_LOG(ERR, "%s: representor=%s%u: there are %u of these, from 0 on\n", esw->name,
                    what, numbers[i], n_ports);
            return -ENODEV;
        }
        ret = make(&ports[numbers[i]]);
    }
    return ret;
}

int esw_devargs_representors(struct esw *esw, const char *args, int (*make)(struct esw_port *))
{
    struct rte_eth_devargs *list = malloc(sizeof(*list));
    int ret = list ? parse_representors(args, list) : -ENOMEM;

    if (ret == -EINVAL)
        ESW_LOG(ERR, "%s: %s: representor is not like vf[0-3] or pf1, or names more than %u\n",
                esw->name, args, RTE_MAX_ETHPORTS);
    else if (ret == 0 && list->type == RTE_ETH_REPRESENTOR_PF)
        ret = make_all(esw, esw->ports, esw->n_wires, "pf", list->ports, list->nb_ports, make);
    else if (ret == 0 && list->type == RTE_ETH_REPRESENTOR_VF)
        ret = make_all(esw, esw->ports + esw->n_wires, esw->n_vfs, "vf", list->representor_ports,
                       list->nb_representor_ports, make);
    else if (ret == 0 && list->type != RTE_ETH_REPRESENTOR_NONE) {
        ESW_LOG(ERR, "%s: %s: representors are vf or pf\n", esw->name, args);
        ret = -ENOTSUP;
    }
    free(list);
    return ret;
}
