/* SPDX-License-Identifier: Apache-2.0 */
// What the files of the offload engine share. The engine brings the NICs' rules (installed) to what
// the rules want (intended), one rule at a time. All of it runs in one thread: the engine's own
// when offload_start() has made it, else the control thread inside each call. What the control
// thread reads or writes of it is under engine.lock; no driver is called under that lock.
#pragma once

#include <pthread.h>
#include <sys/queue.h>
#include <time.h>

#include "offload/flow.h"
#include "offload/offload.h"
#include "offload/plan.h"

#define NICS_MAX       4
#define OPERATIONS_MAX 64 // under way in a NIC's queue

// Why no rule is in a NIC that it would be in.
#define NIC_GONE  "the NIC is gone"
#define NIC_STUCK "the NIC does not answer, and is not used until it is opened anew"

struct template_table;

// A rule as its driver knows it.
struct nic_rule {
    struct rte_flow *flow;        // NULL: there is none
    struct template_table *table; // that it is in, if it was made by templates
    enum { NIC_RULE_DONE, NIC_RULE_UNDER_WAY, NIC_RULE_FAILED } state;
};

// What a queue was told to do.
struct operation {
    uintptr_t number;             // 0: nothing
    struct template_table *table; // of the rule
    struct nic_rule *made;        // is told how it went; NULL: the rule's end
};

// What of a rule is in a NIC.
enum place_kind {
    PLACE_NONE,
    PLACE_SOFTWARE, // its match only: those packets are software's, so rules below it may be there
    PLACE_FULL,
};

struct place {
    struct nic_rule handle;
    uint64_t line;           // hash of the line that describes it in the driver's dump, 0: unknown
    uint64_t packets, bytes; // as the handle's counter was read last
    uint8_t kind;            // enum place_kind
    bool no_full;            // the driver does not take the rule
    bool no_software;        // nor its match
    bool missing;            // by the audit's last look
};

struct pod;

struct offload_rule {
    struct plan_node node; // first: the plan's nodes are cast to this
    struct rule rule;
    struct pod *pod; // NULL: of none
    TAILQ_ENTRY(offload_rule) of_pod;
    bool planned, last;
    bool queued, waiting; // in engine.queue, in engine.waiting
    bool under_way;       // in engine.under_way
    bool in_then;         // and in the NIC where it should be, if that goes well
    bool alone;           // did not go well: to be tried again without others under way
    TAILQ_ENTRY(offload_rule) work, all, removal, then;
    bool posted; // in engine.inbox; under engine.lock
    struct place places[NICS_MAX];
    struct offload_counts before; // what handles that are gone had counted; under engine.lock
    // Published for the control thread, under engine.lock:
    bool in_nic, settled;
    char *why_not;
    struct offload_counts counts;
};
TAILQ_HEAD(work_list, offload_rule);

// The rules of one attachment (those with its cookie): if a NIC is full, all of them are in it or
// none.
struct pod {
    TAILQ_ENTRY(pod) next; // in engine.pods, who goes first comes first
    uint64_t cookie;
    unsigned rank; // the first of engine.prefer that it is in; n_prefer: none
    TAILQ_HEAD(pod_rules, offload_rule) rules; // the guard's first
    bool out[NICS_MAX];                        // in software, for want of room
};

// An e-switch, by its proxy port.
struct nic {
    uint16_t ethdev, domain;
    char driver[32];
    bool gone;      // unplugged, or one of the next two; atomic
    bool stuck;     // its queue does not answer; not used until it is opened anew; atomic
    bool closing;   // about to be closed; atomic
    bool was_reset; // by its event, to be seen to; atomic
    bool vacant;    // gone, and nothing of it is left here; atomic
    enum flow_rewrite rewrite; // the one that it took last
    unsigned n_rules;          // in it, but exceptions
    int room;                  // rules that left since it was full, less those that came
    bool room_came;            // and nobody was told
    // Made by rte_flow_create(), or by templates where the driver refuses that.
    enum { RULES_NOT_TRIED, RULES_PLAIN, RULES_BY_TEMPLATES } how; // atomic
    TAILQ_HEAD(, template_table) tables;
    unsigned n_idle_tables; // without a rule
    uintptr_t operation;    // number of the last
    unsigned n_operations, n_unpushed;
    struct operation operations[OPERATIONS_MAX]; // by number
    unsigned n_capabilities; // of those by templates; the engine's thread finds them out
    struct offload_capability capabilities[OFFLOAD_CAPABILITIES_MAX];
    bool has[FLOW_EXCEPTIONS_N];
    struct nic_rule exceptions[FLOW_EXCEPTIONS_N][FLOW_EXCEPTIONS_MAX];
    uint64_t exception_lines[FLOW_EXCEPTIONS_N][FLOW_EXCEPTIONS_MAX];
    enum { DUMP_UNKNOWN, DUMP_LINES, DUMP_USELESS } dump; // what rte_flow_dev_dump gives
    unsigned n_extra;                                     // lines of no rule of ours, last time
    unsigned n_tolerated;                                 // of these, that stay whatever is done
    uint64_t next_dump;                                   // engine_now()
};

// A port as the control thread found it when a rule named it last.
struct engine_port {
    bool known;
    int err; // of port_of
    struct offload_port port;
    int nic;       // -1:
    char *why_not; // there is none
};

struct engine {
    enum offload_mode mode;
    offload_port_fn *port_of;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    pthread_t thread;
    bool threaded, stop;
    bool busy;     // in a turn; under lock
    bool removing; // took rules from `removed`, and they are not out yet; under lock
    bool overdue;  // it was waited for in vain, and is not done yet; under lock
    struct work_list inbox, removed;        // from the control thread; under lock
    struct engine_port ports[PORT_MAX + 1]; // under lock
    bool ports_changed[PORT_MAX + 1], any_port_changed, new_nic;
    struct nic nics[NICS_MAX];
    unsigned n_nics;
    struct work_list all, queue, waiting, under_way;
    TAILQ_HEAD(pod_list, pod) pods;
    unsigned n_prefer;
    struct offload_prefix prefer[OFFLOAD_PREFER_MAX];
    bool making_room;          // by taking a pod out
    struct offload_rule *miss; // of the operator's table 0; NULL: drops
    bool miss_normal;
    bool miss_wanted_drop;        // it is to be changed; under lock
    bool policy;                  // the operator has rules
    uint64_t retry_at;            // engine_now(); 0: nothing to be tried again
    struct offload_status status; // counters; under lock
};
extern struct engine engine;

// Nanoseconds of CLOCK_MONOTONIC.
static inline uint64_t engine_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// engine.c. One turn: true if there may be more to do at once.
bool engine_turn(void);
// What a rule is in a NIC, if it can be said. `why`: a sentence, the caller's.
int engine_build(const struct offload_rule *orule, unsigned n, enum place_kind kind,
                 struct flow *flow, char **why);
void engine_queue(struct offload_rule *orule);
// Is this NIC one where the rule is to do its work? Elsewhere a place holder is enough.
bool engine_is_home(const struct offload_rule *orule, unsigned n);
// The handle is of no use any more (its rule is lost): forgets it, after telling the driver.
void engine_forget(struct offload_rule *orule, unsigned n);

// Waits until all NICs have done what they were told. True: they were told something.
bool engine_finish(void);
// Takes the rule out of the NIC, and before it those that may not be there without it.
void engine_take_out(struct offload_rule *orule, unsigned n);
// What it counted there stays counted.
void engine_save_counts(struct offload_rule *orule, const struct place *place);
void engine_queue_all(void);
uint16_t engine_out_port(const struct rule *rule); // PORT_NONE: it has none

// events.c. True: there was something.
bool engine_see_to_events(void);
// Takes all out of the NIC and programs it again.
void engine_reprogram(unsigned n);

// pods.c
void pods_join(struct offload_rule *orule);
void pods_leave(struct offload_rule *orule);
// Is the rule of a pod that the NIC has no room for?
bool pods_is_out(const struct offload_rule *orule, unsigned n);
// Who has to leave the NIC so that the rule can be that in it: the last pod that has a rule there,
// the rule's own if it is to be there in full and no other comes after it; NULL: nobody.
struct pod *pods_last(const struct offload_rule *orule, unsigned n, enum place_kind kind);
void pods_set_out(struct pod *pod, unsigned n, bool out);
// Lets pods into the NIC whose rules fit into the room, in their order.
void pods_let_in(unsigned n, int room);
// The NIC is empty.
void pods_forget(unsigned n);

extern int offload_log; // nic.c

// nic.c. Negative errno with *error set. Not `wait`: the NIC may do it later, until
// operations_finish(); *made stays where it is, and has the outcome.
int nic_create(struct nic *nic, struct flow *flow, bool wait, struct nic_rule *made,
               struct rte_flow_error *error);
void nic_destroy(struct nic *nic, const struct nic_rule *rule, bool wait);
// -errno and *what: the packets that it cannot leave to software.
int nic_add_exceptions(struct nic *nic, enum flow_exceptions kind, const char **what,
                       struct rte_flow_error *error);
void nic_remove_exceptions(struct nic *nic);
// A driver's refusal as a sentence, or NULL. `what`: of the exception for these packets, or NULL.
char *nic_refusal(const char *driver, int err, const struct rte_flow_error *error,
                  const char *what);
// May the driver take it another time?
bool nic_may_later(int err);

// operations.c. Hand it to the queue.
int operations_create(struct nic *nic, struct template_table *table,
                      struct rte_flow_template_table *of, const struct flow *flow,
                      struct nic_rule *made, struct rte_flow_error *error);
int operations_destroy(struct nic *nic, const struct nic_rule *rule, struct rte_flow_error *error);
// Waits until all of it is done. Rules that were to be made say how it went.
void operations_finish(struct nic *nic);

// templates.c. A rule by templates, through the queue.
int templates_create(struct nic *nic, const struct flow *flow, struct nic_rule *made,
                     struct rte_flow_error *error);
// A rule is out of the table, or never came.
void templates_left(struct nic *nic, struct template_table *table);
// Are there templates for such a rule?
int templates_try(const struct nic *nic, const struct flow *flow, struct rte_flow_error *error);
// The NIC was flushed.
void templates_forget_rules(struct nic *nic);
void templates_free(struct nic *nic);

// capabilities.c. Asks the driver by templates.
void capabilities_by_templates(struct nic *nic);
// The kind of exceptions that leaves IPv4 fragments to software: what is there, else what the
// driver takes.
enum flow_exceptions capabilities_fragments(const struct nic *nic);

// audit.c. Looks at some rules; to be called often. Returns the nanoseconds until it wants to
// again.
uint64_t audit_turn(void);
// Logs and counts an event: `kind` is one of engine.status' counters. `orule` may be NULL.
void audit_tell(uint64_t *kind, const struct nic *nic, const struct offload_rule *orule,
                const char *what);
void audit_forget(const struct offload_rule *orule); // the rule is freed
void audit_read(struct offload_rule *orule);         // its counters, now
uint64_t audit_hash(const char *line, size_t len);
// The hash of the line by which a driver that dumps testpmd's lines would show the flow.
uint64_t audit_line(const struct flow *flow);
