/* SPDX-License-Identifier: Apache-2.0 */
// Why a request on the control socket failed: the error codes of docs/control-socket.md.
#pragma once

#include <stdarg.h>

// X(code, remedy)
#define FAULT_CODES(X)                                                                             \
    X(unknown_method, "docs/control-socket.md lists the methods")                                  \
    X(invalid_params, "correct the request; docs/control-socket.md lists each method's members")   \
    X(not_permitted, "run this as root")                                                           \
    X(already_attached, "detach it first")                                                         \
    X(address_in_use, "give another address; `sluicectl pods` shows who has which")                \
    X(no_range, "give an address of a range of the node file; `sluicectl status` lists them")      \
    X(no_device, "see that the device exists in the daemon's network namespace and is free")       \
    X(no_ports, "detach what is no longer needed; `sluicectl pods` lists it")                      \
    X(not_offloaded, "see `sluicectl offload`, or set offload: auto in the node file")             \
    X(not_attached, "attach it first; `sluicectl pods` lists what is attached")                    \
    X(not_healthy, "see the message; detaching and attaching again makes everything anew")         \
    X(internal, "see the daemon's log")

enum fault_code {
#define X(name, remedy) FAULT_##name,
    FAULT_CODES(X)
#undef X
        FAULT_N
};

struct fault {
    enum fault_code code;
    char *message; // the receiver frees
};

const char *fault_name(enum fault_code code);
const char *fault_remedy(enum fault_code code);
// How many bytes of a text from a request to repeat in a message: at most 64, whole UTF-8
// characters.
int fault_excerpt(const char *text);
// Says why; frees an earlier message. Returns -1, to be returned on.
int fault_set(struct fault *fault, enum fault_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
