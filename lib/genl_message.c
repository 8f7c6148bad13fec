// SPDX-License-Identifier: GPL-2.0-or-later
#include "genl_message.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <string.h>

/*
 * The walk of mnl_attr_for_each(), which stops quietly at an attribute that does
 * not fit: here that is an error.
 */
static int attrs_walk(const uint8_t *pos, size_t len,
		      int (*on_attr)(const struct nlattr *, void *),
		      void *cookie)
{
	while (len) {
		const struct nlattr *attr = (const struct nlattr *)pos;
		size_t step;
		int err;

		if (len < sizeof(*attr) || attr->nla_len < sizeof(*attr) ||
		    attr->nla_len > len)
			return -EPROTO;
		err = on_attr(attr, cookie);
		if (err)
			return err;
		step = MNL_ALIGN(attr->nla_len);
		if (step > len)
			step = len;
		pos += step;
		len -= step;
	}
	return 0;
}

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
	return attrs_walk((const uint8_t *)nlh + head, nlh->nlmsg_len - head,
			  attr_keep, attrs);
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

struct text {
	char *buf;
	size_t size;
};

static int attr_text(const struct nlattr *attr, void *cookie)
{
	struct text *text = cookie;

	if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
		snprintf(text->buf, text->size, "%.*s",
			 (int)mnl_attr_get_payload_len(attr),
			 mnl_attr_get_str(attr));
	return 0;
}

int fr_genl_message_error(const struct nlmsghdr *nlh, char *text, size_t size)
{
	struct text out = { text, size };
	size_t at = MNL_NLMSG_HDRLEN + sizeof(int);
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	int err;

	text[0] = 0;
	if (nlh->nlmsg_len < at)
		return -EPROTO;
	memcpy(&err, mnl_nlmsg_get_payload(nlh), sizeof(err));
	if (err > 0)
		return -EPROTO;

	if (nlh->nlmsg_type == NLMSG_ERROR) {
		at = MNL_NLMSG_HDRLEN + sizeof(*e);
		if (nlh->nlmsg_len < at)
			return -EPROTO;
		/* The request that failed, or only its head, comes before the text. */
		if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) {
			if (e->msg.nlmsg_len < MNL_NLMSG_HDRLEN ||
			    e->msg.nlmsg_len - MNL_NLMSG_HDRLEN >
				    nlh->nlmsg_len - at)
				return -EPROTO;
			at += MNL_ALIGN(e->msg.nlmsg_len - MNL_NLMSG_HDRLEN);
		}
	}
	if ((nlh->nlmsg_flags & NLM_F_ACK_TLVS) && nlh->nlmsg_len > at &&
	    attrs_walk((const uint8_t *)nlh + at, nlh->nlmsg_len - at,
		       attr_text, &out))
		return -EPROTO;
	return err;
}
