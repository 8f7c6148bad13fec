// SPDX-License-Identifier: GPL-2.0-only
/* Is it timer_delete(), or del_timer() as before? */
#include <linux/timer.h>

int conftest(struct timer_list *timer);
int conftest(struct timer_list *timer)
{
	return timer_delete(timer);
}
