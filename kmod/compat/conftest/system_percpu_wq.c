// SPDX-License-Identifier: GPL-2.0-only
/* Is the queue for work of all sorts system_percpu_wq, or system_wq as before? */
#include <linux/workqueue.h>

struct workqueue_struct *conftest(void);
struct workqueue_struct *conftest(void)
{
	return system_percpu_wq;
}
