/* SPDX-License-Identifier: Apache-2.0 */
// The network configuration that the runtime gives on stdin: CNI spec 1.1.0, section "Execution
// configuration". docs/cni.md says what our own keys mean.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cni/error.h"

#define CNI_VERSION_NEWEST "1.1.0"
#define CNI_MTU_DEFAULT    1500

struct json;

struct cni_conf {
    struct json *json;
    const char *version; // one of cni_versions
    const char *name;    // the network's
    const char *socket;  // of the daemon
    unsigned mtu;
    const char *ipam_type;          // NULL if there is no ipam
    const struct json *dns;         // NULL if the IPAM plugin's holds
    const struct json *prev_result; // NULL if there is none
    bool has_mac;                   // runtimeConfig.mac
    uint8_t mac[6];
};

// The versions of the spec we speak, oldest first, NULL at the end.
extern const char *const cni_versions[];
// Where a version stands in cni_versions; -1 if it does not.
int cni_version_index(const char *version);

// Parses and checks a configuration. strict: keys nobody knows are errors (for ADD and CHECK; DEL
// must work with whatever ADD was given). *conf points into its json; free it with cni_conf_free,
// also after an error.
int cni_conf_parse(const char *text, bool strict, struct cni_conf *conf, struct cni_error *error);
void cni_conf_free(struct cni_conf *conf);

// A member of a JSON object; NULL if there is none or `object` is no object.
struct json *json_member(const struct json *object, const char *name);
// A string member; NULL if there is none or it is no string.
const char *json_member_string(const struct json *object, const char *name);
