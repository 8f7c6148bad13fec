// SPDX-License-Identifier: GPL-2.0-only
/* Do the attributes of a dump request come in a struct genl_info? */
#include <net/genetlink.h>

struct nlattr **conftest(struct netlink_callback *cb);

struct nlattr **conftest(struct netlink_callback *cb)
{
	return genl_info_dump(cb)->attrs;
}
