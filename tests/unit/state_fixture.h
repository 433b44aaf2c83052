/* SPDX-License-Identifier: Apache-2.0 */
// A folder of its own for each test of the state file, and attachments to put into it.
#pragma once

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/address.h"
#include "config/state.h"

#define BOOT_1 "11111111-1111-1111-1111-111111111111"
#define BOOT_2 "22222222-2222-2222-2222-222222222222"

static char folder[32], path[64], boot_path[64];

static inline void write_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(name, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

#define FILE_MAX (8 << 20)

static inline size_t read_file(const char *name, char buf[FILE_MAX])
{
    FILE *file = fopen(name, "re");
    size_t size;

    assert_non_null(file);
    size = fread(buf, 1, FILE_MAX, file);
    fclose(file);
    assert_true(size < FILE_MAX);
    return size;
}

static inline int make_folder(void **fixture)
{
    (void)fixture;
    strcpy(folder, "/dev/shm/sluice-state-XXXXXX"); // syncing costs nothing there
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/state.db", folder);
    snprintf(boot_path, sizeof(boot_path), "%s/boot_id", folder);
    write_file(boot_path, BOOT_1 "\n", strlen(BOOT_1) + 1);
    return 0;
}

static inline int remove_folder(void **fixture)
{
    char command[64];

    (void)fixture;
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

static inline struct state *open_state(void)
{
    struct state *state;
    bool rebooted = true;
    char *error = NULL;

    if (state_open_boot(path, boot_path, &state, &rebooted, &error) < 0)
        fail_msg("state_open: %s", error);
    assert_false(rebooted);
    return state;
}

// Number `i` of attachments that have nothing in common.
static inline struct attachment attachment_no(unsigned i)
{
    struct attachment attachment = {
        .mac = {2, 0, 0, 0, i >> 8, i}, .n_addresses = 2, .mtu = 1500, .port = i + 1};
    char text[ADDRESS_TEXT];

    snprintf(attachment.container_id, sizeof(attachment.container_id), "container%u", i);
    snprintf(attachment.ifname, sizeof(attachment.ifname), "eth0");
    snprintf(attachment.netdev, sizeof(attachment.netdev), "pod%u", i);
    snprintf(attachment.pod, sizeof(attachment.pod), "default/pod%u", i);
    snprintf(text, sizeof(text), "10.1.%u.%u", i >> 8, i & 0xff);
    assert_int_equal(address_parse(text, &attachment.addresses[0]), 0);
    snprintf(text, sizeof(text), "fd00::%x", i + 1);
    assert_int_equal(address_parse(text, &attachment.addresses[1]), 0);
    return attachment;
}
