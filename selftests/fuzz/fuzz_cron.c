// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any text is five fields or has a column where it is wrong; what parses is due again and
 * again, and never twice at one time.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool is_so)
{
	if (!is_so)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	time_t t = 1774746000, next; /* half a day before a change of the clocks */
	struct fr_cron cron;
	char text[256], why[200] = "";
	int i;

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	if (len >= sizeof(text))
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	if (fr_cron_parse(&cron, text, why, sizeof(why))) {
		must(why[0]);
		return 0;
	}
	must(cron.minutes && cron.hours && cron.months);
	for (i = 0; i < 20; i++, t = next) {
		next = fr_cron_next(&cron, t);
		must(next > t);
		must(next % 60 == 0);
		must(fr_cron_next(&cron, next - 1) == next);
	}
	return 0;
}
