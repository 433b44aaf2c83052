/* SPDX-License-Identifier: Apache-2.0 */
// The control socket's client against a server of each temper.
#include <config.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/client.h"
#include "openvswitch/json.h"
#include "openvswitch/vlog.h"
#include "timeval.h"

static char dir[] = "/tmp/sluice-client-test-XXXXXX";
static char path[sizeof dir + 16];
static pid_t server;

// Serves one connection: reads a request, sends the pieces 50 ms apart, then closes; with no piece
// at all it never answers.
static void serve(const char *const *pieces)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
    unlink(path);
    assert_int_equal(bind(listener, (struct sockaddr *)&sun, sizeof sun), 0);
    assert_int_equal(listen(listener, 4), 0);
    server = fork();
    assert_true(server >= 0);
    if (server == 0) {
        char request[4096];
        int fd = accept(listener, NULL, NULL);

        if (fd < 0 || read(fd, request, sizeof request) <= 0)
            _exit(1);
        if (!pieces[0])
            pause();
        for (; *pieces; pieces++) {
            if (write(fd, *pieces, strlen(*pieces)) < 0)
                _exit(1);
            usleep(50000);
        }
        _exit(0);
    }
    close(listener);
}

static int stop_server(void **state)
{
    (void)state;
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        server = 0;
    }
    unlink(path);
    return 0;
}

static int call(unsigned timeout_ms, struct json **result, struct client_error *error)
{
    struct json *params = json_object_create();

    json_object_put_string(params, "ifname", "eth0");
    *result = NULL;
    return client_call(path, "attach", params, timeout_ms, result, error);
}

static void answer_in_pieces(void **state)
{
    const char *pieces[] = {"{\"id\": 0, \"result\": {\"po", "rt\": 3}, \"error\": null}", NULL};
    struct client_error error;
    struct json *result;

    (void)state;
    serve(pieces);
    assert_int_equal(call(60000, &result, &error), 0);
    assert_int_equal(json_integer(shash_find_data(json_object(result), "port")), 3);
    json_destroy(result);
}

static void other_ids_are_not_the_answer(void **state)
{
    const char *pieces[] = {"{\"id\": 77, \"result\": 1, \"error\": null}"
                            "{\"id\": null, \"method\": \"event\", \"params\": []}"
                            "{\"id\": 1, \"result\": 2, \"error\": null}",
                            NULL};
    struct client_error error;
    struct json *result;

    (void)state;
    serve(pieces);
    assert_int_equal(call(60000, &result, &error), 0);
    assert_int_equal(json_integer(result), 2);
    json_destroy(result);
}

static void daemon_error(void **state)
{
    const char *pieces[] = {"{\"id\": 2, \"result\": null, \"error\": {\"code\": \"no_range\", "
                            "\"message\": \"10.9.9.9 is in no range\", \"remedy\": \"add one\"}}",
                            NULL};
    struct client_error error;
    struct json *result;

    (void)state;
    serve(pieces);
    assert_int_equal(call(60000, &result, &error), -EREMOTEIO);
    assert_null(result);
    assert_string_equal(error.code, "no_range");
    assert_string_equal(error.message, "10.9.9.9 is in no range");
    assert_string_equal(error.remedy, "add one");
    client_error_free(&error);
    assert_null(error.message);
}

static void no_answer(void **state)
{
    const char *pieces[] = {NULL};
    struct client_error error;
    struct json *result;
    long long start = time_msec();

    (void)state;
    serve(pieces);
    assert_int_equal(call(200, &result, &error), -ETIMEDOUT);
    assert_in_range(time_msec() - start, 200, 60000);
    assert_null(error.code);
    assert_non_null(strstr(error.message, "200 ms"));
    client_error_free(&error);
}

static void connection_closed(void **state)
{
    const char *pieces[] = {"{\"id\": 4, \"res", NULL};
    struct client_error error;
    struct json *result;

    (void)state;
    serve(pieces);
    assert_int_equal(call(60000, &result, &error), -ECONNRESET);
    client_error_free(&error);
}

static void garbage(void **state)
{
    const char *pieces[] = {"HTTP/1.1 400 Bad Request\r\n", NULL};
    struct client_error error;
    struct json *result;

    (void)state;
    serve(pieces);
    assert_int_equal(call(60000, &result, &error), -EPROTO);
    client_error_free(&error);
}

static void no_daemon(void **state)
{
    struct client_error error;
    struct json *result;

    (void)state;
    assert_int_equal(call(60000, &result, &error), -ENOENT);
    assert_null(error.code);
    assert_non_null(strstr(error.message, path));
    client_error_free(&error);
}

int main(void)
{
    // The requests' ids count on from one test to the next: the order is part of the tests.
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(answer_in_pieces, stop_server),
        cmocka_unit_test_teardown(other_ids_are_not_the_answer, stop_server),
        cmocka_unit_test_teardown(daemon_error, stop_server),
        cmocka_unit_test_teardown(no_answer, stop_server),
        cmocka_unit_test_teardown(connection_closed, stop_server),
        cmocka_unit_test_teardown(garbage, stop_server),
        cmocka_unit_test_teardown(no_daemon, stop_server),
    };
    int failed;

    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/socket", dir);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
