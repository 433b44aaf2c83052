/* SPDX-License-Identifier: Apache-2.0 */
// The control socket against clients that misbehave: none of them harms the others.
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/rpc_server.h"
#include "openvswitch/json.h"
#include "openvswitch/vlog.h"

#define HELLO "{\"id\": 1, \"method\": \"hello\", \"params\": [{}]}"

static char dir[] = "/tmp/sluice-rpc-test-XXXXXX";
static char path[sizeof(dir) + 16];
static long long now = 1000;
static unsigned calls;

static struct json *call(const char *method, const struct json *params, bool privileged,
                         struct fault *fault)
{
    struct json *result;

    calls++;
    assert_non_null(params);
    if (strcmp(method, "hello") != 0) {
        fault_set(fault, FAULT_unknown_method, "no method \"%s\"", method);
        return NULL;
    }
    result = json_object_create();
    json_object_put(result, "privileged", json_boolean_create(privileged));
    return result;
}

static int setup(void **state)
{
    char *error = NULL;

    (void)state;
    snprintf(path, sizeof(path), "%s/sock", dir);
    calls = 0;
    if (rpc_server_open(path, "", call, &error))
        fail_msg("%s", error);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rpc_server_close();
    assert_int_equal(access(path, F_OK), -1);
    return 0;
}

static int client(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(address.sun_path, path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    rpc_server_run(now);
    return fd;
}

static void put(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

// What the server sent by now; "" if nothing, NULL if it closed the connection.
static const char *get(int fd)
{
    static char answer[4096];
    ssize_t n;

    for (unsigned i = 0; i < 10; i++)
        rpc_server_run(now);
    n = recv(fd, answer, sizeof(answer) - 1, 0);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return NULL;
    answer[n > 0 ? n : 0] = '\0';
    return answer;
}

static void works(int fd)
{
    const char *answer;

    put(fd, HELLO);
    answer = get(fd);
    assert_non_null(answer);
    assert_non_null(strstr(answer, "\"privileged\":true"));
    assert_non_null(strstr(answer, "\"error\":null"));
}

static void test_answers(void **state)
{
    int fd = client();
    struct stat st;

    (void)state;
    works(fd);
    works(fd);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    close(fd);
}

static void test_a_fault_has_code_message_and_remedy(void **state)
{
    int fd = client();
    struct json *answer, *error;

    (void)state;
    put(fd, "{\"id\": 5, \"method\": \"what\", \"params\": []}");
    answer = json_from_string(get(fd));
    assert_int_equal(answer->type, JSON_OBJECT);
    assert_int_equal(((struct json *)shash_find_data(json_object(answer), "result"))->type,
                     JSON_NULL);
    error = shash_find_data(json_object(answer), "error");
    assert_string_equal(json_string(shash_find_data(json_object(error), "code")), "unknown_method");
    assert_string_equal(json_string(shash_find_data(json_object(error), "message")),
                        "no method \"what\"");
    assert_non_null(shash_find_data(json_object(error), "remedy"));
    json_destroy(answer);
    works(fd);
    close(fd);
}

static void test_requests_of_one_connection_are_answered_in_order(void **state)
{
    int fd = client();
    const char *answer, *first, *second;

    (void)state;
    put(fd, "{\"id\": 11, \"method\": \"hello\", \"params\": [{}]}"
            "{\"id\": 12, \"method\": \"hello\", \"params\": [{}]}");
    answer = get(fd);
    first = strstr(answer, "\"id\":11");
    second = strstr(answer, "\"id\":12");
    assert_true(first && second && first < second);
    close(fd);
}

static void test_at_most_one_request_runs_a_turn(void **state)
{
    int a = client(), b = client();

    (void)state;
    put(a, HELLO HELLO);
    put(b, HELLO);
    rpc_server_run(now);
    assert_int_equal(calls, 1);
    rpc_server_run(now);
    assert_int_equal(calls, 2);
    assert_non_null(strstr(get(b), "privileged")); // a's second did not come before
    close(a);
    close(b);
}

static void test_garbage_closes_only_its_connection(void **state)
{
    static const char *const garbage[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "{]",
        "[1, 2]",
        "{\"id\": 1}",
        "\x01\x02\xff",
        "{} {}",
        "{\"id\": 1, \"method\": 5, \"params\": []}",
        "{\"id\": 1, \"method\": \"\xff\xfe\", \"params\": []}",
        "{\"id\": \"\xed\xa0\x80\", \"method\": \"hello\", \"params\": []}",
        "{\"id\": 1, \"method\": \"hello\", \"params\": [{\"a\": [\"\xc0\x80\"]}]}",
    };
    int good = client();

    (void)state;
    for (unsigned i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        int bad = client();

        put(bad, garbage[i]);
        if (get(bad))
            fail_msg("still open after: %s", garbage[i]);
        close(bad);
        works(good);
    }
    close(good);
}

static void test_too_long_a_message_closes(void **state)
{
    int bad = client(), good = client();
    char block[4096];
    size_t sent = 0;

    (void)state;
    memset(block, 'x', sizeof(block));
    put(bad, "{\"id\": \"");
    while (sent < 4 * RPC_MESSAGE_MAX) {
        ssize_t n = send(bad, block, sizeof(block), MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN)
            break;
        sent += n > 0 ? n : 0;
        rpc_server_run(now);
    }
    assert_in_range(sent, RPC_MESSAGE_MAX, 3 * RPC_MESSAGE_MAX);
    assert_null(get(bad));
    works(good);
    close(bad);
    close(good);
}

static void test_half_a_message_closes_after_its_time(void **state)
{
    int half = client(), nothing = client();

    (void)state;
    put(half, "{\"id\": 1, \"meth");
    assert_string_equal(get(half), "");
    now += RPC_MESSAGE_MS;
    assert_string_equal(get(half), "");
    now++;
    assert_null(get(half));
    works(nothing); // silence is no fault
    close(half);
    close(nothing);
}

static void test_the_quietest_gives_way_to_a_newcomer(void **state)
{
    int fds[RPC_CONNECTIONS_MAX], newcomer;

    (void)state;
    for (unsigned i = 0; i < RPC_CONNECTIONS_MAX; i++) {
        now++;
        fds[i] = client();
    }
    now++;
    works(fds[0]); // so that fds[1] is the quietest now
    newcomer = client();
    put(newcomer, HELLO);
    assert_string_equal(get(newcomer), ""); // none is quiet enough: it waits
    now += RPC_QUIET_MS - RPC_CONNECTIONS_MAX + 1;
    assert_non_null(strstr(get(newcomer), "privileged"));
    assert_null(get(fds[1]));
    for (unsigned i = 0; i < RPC_CONNECTIONS_MAX; i++) {
        if (i != 1)
            works(fds[i]);
        close(fds[i]);
    }
    close(newcomer);
}

static void test_a_client_that_does_not_read_is_not_served_on(void **state)
{
    int deaf = client(), good = client();

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        if (send(deaf, HELLO, strlen(HELLO), MSG_NOSIGNAL) < 0)
            break;
        rpc_server_run(now);
    }
    assert_int_equal(errno, EAGAIN);
    assert_true(calls < 20000);
    works(good);
    close(deaf);
    close(good);
}

static void test_a_group_that_is_not_there_is_refused(void **state)
{
    char *error = NULL;
    char other[sizeof(path) + 8];

    (void)state;
    rpc_server_close();
    snprintf(other, sizeof(other), "%s2", path);
    assert_int_equal(rpc_server_open(other, "no-such-group-here", call, &error), -ENOENT);
    assert_non_null(strstr(error, "no-such-group-here"));
    assert_int_equal(access(other, F_OK), -1);
    free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_fault_has_code_message_and_remedy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_requests_of_one_connection_are_answered_in_order,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_at_most_one_request_runs_a_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage_closes_only_its_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_long_a_message_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_a_message_closes_after_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_quietest_gives_way_to_a_newcomer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_client_that_does_not_read_is_not_served_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_group_that_is_not_there_is_refused, setup, teardown),
    };
    int failed;

    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    assert_non_null(mkdtemp(dir));
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
