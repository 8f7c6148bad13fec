// SPDX-License-Identifier: GPL-2.0-or-later
#include "control_json.h"

#include <time.h>

#include "monotonic.h"

json_t *control_json_when(uint64_t at_ns)
{
	struct timespec now;
	char text[40];
	struct tm tm;
	time_t t;

	if (!at_ns)
		return json_null();
	clock_gettime(CLOCK_REALTIME, &now);
	t = now.tv_sec - (time_t)((monotonic_ns() - at_ns) / 1000000000ull);
	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

json_t *control_json_digest(uint64_t digest)
{
	return json_sprintf("%016lx", digest);
}
