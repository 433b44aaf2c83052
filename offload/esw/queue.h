/* SPDX-License-Identifier: Apache-2.0 */
// The asynchronous half of net_esw's rte_flow: templates and tables (template.c), and the queues
// that rules are put in and taken out by (queue.c).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <rte_flow.h>

#include "offload/esw/table.h"

#define ESW_FLOW_QUEUES_MAX     16
#define ESW_FLOW_QUEUE_SIZE_MAX 65536
#define ESW_TEMPLATE_MAX        16 // items or actions, with their end
#define ESW_TABLE_TEMPLATES_MAX 32

struct esw;
struct esw_port;

// All of a template is one piece of memory of rte_flow_conv()'s.
struct rte_flow_pattern_template {
    LIST_ENTRY(rte_flow_pattern_template) next;
    unsigned tables; // that use it
    bool relaxed;
    unsigned n;
    struct rte_flow_item *items;
};

struct rte_flow_actions_template {
    LIST_ENTRY(rte_flow_actions_template) next;
    unsigned tables;
    unsigned n;
    struct rte_flow_action *actions, *masks;
};

struct rte_flow_template_table {
    LIST_ENTRY(rte_flow_template_table) next;
    struct rte_flow_attr attr;
    uint32_t size, n; // rules at most, and now
    unsigned n_patterns, n_actions;
    struct rte_flow_pattern_template *patterns[ESW_TABLE_TEMPLATES_MAX];
    struct rte_flow_actions_template *actions[ESW_TABLE_TEMPLATES_MAX];
};

struct esw_job {
    bool create; // else destroy
    bool failed; // once done
    struct rte_flow *flow;
    void *user_data;
    uint64_t tsc; // when it was put in
};

// A ring of jobs, oldest first: those done wait to be pulled, those pushed to be done, the others
// to be pushed.
struct esw_flow_queue {
    struct esw_job *jobs;
    uint32_t size, first;
    uint32_t n_done, n_pushed, n; // each includes the one before
    uint64_t free_tsc;            // when the last was done
};

// The asynchronous half of a port. All under esw.lock.
struct esw_async {
    struct rte_flow_port_attr attr; // as configured
    uint16_t n_queues;              // 0: not configured
    struct esw_flow_queue queues[ESW_FLOW_QUEUES_MAX];
    LIST_HEAD(, rte_flow_pattern_template) patterns;
    LIST_HEAD(, rte_flow_actions_template) actions;
    LIST_HEAD(, rte_flow_template_table) tables;
    // Counters that mlx5's hardware steering has handed out, and those that it gets back with the
    // next turn of its counter thread.
    uint32_t counters_used, counters_waiting;
    uint64_t counters_cycle;
};

// queue.c

int esw_flow_info_get(struct rte_eth_dev *dev, struct rte_flow_port_info *port_info,
                      struct rte_flow_queue_info *queue_info, struct rte_flow_error *error);
int esw_flow_configure(struct rte_eth_dev *dev, const struct rte_flow_port_attr *attr,
                       uint16_t n_queues, const struct rte_flow_queue_attr *queues[],
                       struct rte_flow_error *error);
struct rte_flow *esw_async_create(struct rte_eth_dev *dev, uint32_t queue,
                                  const struct rte_flow_op_attr *attr,
                                  struct rte_flow_template_table *table,
                                  const struct rte_flow_item items[], uint8_t pattern,
                                  const struct rte_flow_action actions[], uint8_t actions_template,
                                  void *user_data, struct rte_flow_error *error);
int esw_async_destroy(struct rte_eth_dev *dev, uint32_t queue, const struct rte_flow_op_attr *attr,
                      struct rte_flow *flow, void *user_data, struct rte_flow_error *error);
int esw_async_push(struct rte_eth_dev *dev, uint32_t queue, struct rte_flow_error *error);
int esw_async_pull(struct rte_eth_dev *dev, uint32_t queue, struct rte_flow_op_result results[],
                   uint16_t n, struct rte_flow_error *error);

// All under esw.lock.
// Does what has been pushed on all ports' queues, as far as its time has come.
void esw_queues_work(struct esw *esw);
// What is under way on the port's queues ends: rules that are not in yet never will be.
void esw_queues_abandon(struct esw_port *port);
// Frees the port's queues, templates and tables. No rule of the tables is left.
void esw_async_free(struct esw_port *port);

// template.c

struct rte_flow_pattern_template *
esw_pattern_template_create(struct rte_eth_dev *dev,
                            const struct rte_flow_pattern_template_attr *attr,
                            const struct rte_flow_item pattern[], struct rte_flow_error *error);
int esw_pattern_template_destroy(struct rte_eth_dev *dev, struct rte_flow_pattern_template *pattern,
                                 struct rte_flow_error *error);
struct rte_flow_actions_template *
esw_actions_template_create(struct rte_eth_dev *dev,
                            const struct rte_flow_actions_template_attr *attr,
                            const struct rte_flow_action actions[],
                            const struct rte_flow_action masks[], struct rte_flow_error *error);
int esw_actions_template_destroy(struct rte_eth_dev *dev, struct rte_flow_actions_template *actions,
                                 struct rte_flow_error *error);
struct rte_flow_template_table *
esw_template_table_create(struct rte_eth_dev *dev, const struct rte_flow_template_table_attr *attr,
                          struct rte_flow_pattern_template *patterns[], uint8_t n_patterns,
                          struct rte_flow_actions_template *actions[], uint8_t n_actions,
                          struct rte_flow_error *error);
int esw_template_table_destroy(struct rte_eth_dev *dev, struct rte_flow_template_table *table,
                               struct rte_flow_error *error);

// Fills in the e-switch's program for a rule of the table; under esw.lock. 0, or a negative errno
// with *error set.
int esw_table_rule(const struct esw_port *port, const struct rte_flow_template_table *table,
                   const struct rte_flow_item items[], uint8_t pattern,
                   const struct rte_flow_action actions[], uint8_t actions_template,
                   struct esw_program *program, struct rte_flow_error *error);
