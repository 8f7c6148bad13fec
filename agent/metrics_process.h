/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metrics, of the process: what clients of Prometheus tell of theirs, by the same names.
 */
#ifndef METRICS_PROCESS_H
#define METRICS_PROCESS_H

/* NAN: not known. Source: getrusage(2), /proc/self/statm and /proc/self/stat (proc(5)) */
double metrics_process_cpu_s(void);
double metrics_process_resident(void);	/* bytes */
double metrics_process_start_s(void);	/* since 1970 */

#endif
