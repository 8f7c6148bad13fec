// SPDX-License-Identifier: GPL-2.0-or-later
#include "metrics_process.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define STAT_START 22 /* the field with the start, in ticks since the boot */

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

double metrics_process_cpu_s(void)
{
	struct rusage u;

	return getrusage(RUSAGE_SELF, &u) ? NAN :
					    seconds_of(u.ru_utime) + seconds_of(u.ru_stime);
}

double metrics_process_resident(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long pages;
	int n = 0;

	if (file) {
		n = fscanf(file, "%*d %ld", &pages);
		fclose(file);
	}
	return n == 1 ? (double)pages * (double)sysconf(_SC_PAGESIZE) : NAN;
}

/* Of our own line in /proc: behind the name, which may hold anything. */
static double start_ticks(const char *stat)
{
	const char *at = strrchr(stat, ')');
	double ticks;
	int field;

	for (field = 2; at && field < STAT_START; field++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, "%lf", &ticks) == 1 ? ticks : NAN;
}

double metrics_process_start_s(void)
{
	FILE *file = fopen("/proc/self/stat", "re");
	struct timespec now, boot;
	char stat[512] = "";

	if (!file)
		return NAN;
	if (!fgets(stat, sizeof(stat), file))
		stat[0] = '\0';
	fclose(file);
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (double)(now.tv_sec - boot.tv_sec) + (double)(now.tv_nsec - boot.tv_nsec) / 1e9 +
	       start_ticks(stat) / (double)sysconf(_SC_CLK_TCK);
}
