/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/devices.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "control/attachments.h"
#include "control/uplinks.h"
#include "dataplane/dataplane.h"
#include "offload/offload.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(devices);

// A device's queue is looked at this often; and a device that does not answer, and is closed for
// that, is not closed for it again before this long has passed: its ports are away meanwhile.
#define LOOK_MS    500
#define GIVE_UP_MS 60000
// As long as the threads that call its driver have not let go of it, a device is asked for again.
#define LET_GO_MS 10
#define TOLD_MS   5000

static long long next_look_ms, next_give_up_ms, told_ms;
static long long kept_since_ms; // 0: all are closed

// Takes away all ports that dp_port_gone() names.
static void take_away(const char *what)
{
    time_t now = time(NULL);
    struct tm utc;
    char at[32], *text;

    strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &utc));
    text = xasprintf("%s at %s", what, at);

    // The uplinks first: pods on the same device wait for them.
    uplinks_device_gone(text);
    attachments_device_gone(text);
    free(text);
}

static void look_for_stuck(long long now_ms)
{
    bool any = false;

    if (now_ms < next_look_ms)
        return;
    next_look_ms = now_ms + LOOK_MS;
    for (unsigned no = 1; no <= PORT_MAX && now_ms >= next_give_up_ms; no++) {
        if (!dp_port_get((uint16_t)no) || !offload_port_stuck((uint16_t)no))
            continue;
        dp_port_give_up((uint16_t)no);
        any = true;
    }
    if (!any)
        return;
    next_give_up_ms = now_ms + GIVE_UP_MS;
    take_away("did not answer, and was closed");
}

// A device is closed when nobody calls its driver any more; none is opened before.
static void close_devices(long long now_ms)
{
    unsigned n = dp_close_gone(offload_let_go);

    if (n == 0) {
        kept_since_ms = 0;
        return;
    }
    if (kept_since_ms == 0)
        kept_since_ms = told_ms = now_ms;
    if (now_ms - told_ms < TOLD_MS)
        return;
    told_ms = now_ms;
    VLOG_WARN("devices that are gone are not closed, as a driver still is at work ports=%u "
              "seconds=%lld",
              n, (now_ms - kept_since_ms) / 1000);
}

long long devices_run(long long now_ms)
{
    if (dp_any_gone())
        take_away("was unplugged");
    look_for_stuck(now_ms);
    close_devices(now_ms);
    return kept_since_ms ? MIN(now_ms + LET_GO_MS, next_look_ms) : next_look_ms;
}
