// SPDX-License-Identifier: GPL-2.0-or-later
#include "genl_message.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <string.h>

#include "netlink.h"

static int attr_keep(const struct nlattr *attr, void *cookie)
{
	struct fr_genl_attrs *attrs = cookie;
	uint16_t type = mnl_attr_get_type(attr);

	if (type <= FLYREP_A_MAX)
		attrs->by_type[type] = attr;
	return 0;
}

int fr_genl_message_attrs(const struct nlmsghdr *nlh, uint8_t *cmd,
			  struct fr_genl_attrs *attrs)
{
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(nlh);
	const size_t head = MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(*genl));

	memset(attrs, 0, sizeof(*attrs));
	if (nlh->nlmsg_len < head)
		return -EPROTO;
	*cmd = genl->cmd;
	return fr_netlink_attrs((const uint8_t *)nlh + head,
				nlh->nlmsg_len - head, attr_keep, attrs);
}

static int fixed(const struct fr_genl_attrs *attrs, enum flyrep_attr type,
		 void *v, size_t len)
{
	const struct nlattr *attr = attrs->by_type[type];

	memset(v, 0, len);
	if (!attr || mnl_attr_get_payload_len(attr) != len)
		return -EPROTO;
	memcpy(v, mnl_attr_get_payload(attr), len);
	return 0;
}

int fr_genl_message_u8(const struct fr_genl_attrs *attrs, enum flyrep_attr type,
		       uint8_t *v)
{
	return fixed(attrs, type, v, sizeof(*v));
}

int fr_genl_message_u16(const struct fr_genl_attrs *attrs,
			enum flyrep_attr type, uint16_t *v)
{
	return fixed(attrs, type, v, sizeof(*v));
}

int fr_genl_message_u32(const struct fr_genl_attrs *attrs,
			enum flyrep_attr type, uint32_t *v)
{
	return fixed(attrs, type, v, sizeof(*v));
}

int fr_genl_message_u64(const struct fr_genl_attrs *attrs,
			enum flyrep_attr type, uint64_t *v)
{
	return fixed(attrs, type, v, sizeof(*v));
}

int fr_genl_message_buckets(const struct fr_genl_attrs *attrs,
			    const uint8_t **buckets)
{
	const struct nlattr *attr = attrs->by_type[FLYREP_A_BUCKETS];

	*buckets = attr ? mnl_attr_get_payload(attr) : NULL;
	return attr && mnl_attr_get_payload_len(attr) != FLYREP_BUCKETS_LEN ?
		       -EPROTO :
		       0;
}
