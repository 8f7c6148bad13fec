// SPDX-License-Identifier: GPL-2.0-or-later
#include "item_field.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* NFPROTO_* as nft calls them */
static const char *const families[] = {
	[NFPROTO_INET] = "inet",     [NFPROTO_IPV4] = "ip",
	[NFPROTO_ARP] = "arp",	     [NFPROTO_NETDEV] = "netdev",
	[NFPROTO_BRIDGE] = "bridge", [NFPROTO_IPV6] = "ip6",
};

const char *const *fr_item_field_families(size_t *n)
{
	*n = N_OF(families);
	return families;
}

bool fr_item_is_text(const uint8_t *s, size_t len)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	size_t i, n, k;
	uint32_t c;

	for (i = 0; i < len; i += n + 1) {
		n = s[i] < 0x80		  ? 0 :
		    (s[i] & 0xe0) == 0xc0 ? 1 :
		    (s[i] & 0xf0) == 0xe0 ? 2 :
		    (s[i] & 0xf8) == 0xf0 ? 3 :
					    4;
		if (n == 4 || !s[i] || i + n >= len)
			return false;
		c = n ? s[i] & (0x3fu >> n) : s[i];
		for (k = 1; k <= n; k++) {
			if ((s[i + k] & 0xc0) != 0x80)
				return false;
			c = c << 6 | (s[i + k] & 0x3f);
		}
		if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return false;
	}
	return true;
}

static bool is_net(const uint8_t *field, size_t len)
{
	return (len == 5 && field[4] <= 32) || (len == 17 && field[16] <= 128);
}

bool fr_item_field_is_good(const struct fr_item_field *f, const uint8_t *field,
			   size_t len)
{
	if (!len)
		return !f->is_needed;
	switch (f->type) {
	case FR_ITEM_STRING:
		return fr_item_is_text(field, len);
	case FR_ITEM_NUMBER:
	case FR_ITEM_TIME:
		return len == 1 || (len <= 8 && field[0]);
	case FR_ITEM_NET:
		return is_net(field, len);
	case FR_ITEM_FAMILY:
		return len == 1 && field[0] < N_OF(families) &&
		       families[field[0]];
	default:
		return true;
	}
}

static uint64_t get_number(const uint8_t *field, size_t len)
{
	uint64_t n = 0;

	while (len--)
		n = n << 8 | *field++;
	return n;
}

/* --- from text ---------------------------------------------------------- */

static int put_number(struct fr_writer *w, const char *text)
{
	uint8_t bytes[8];
	uint64_t n;
	char *end;
	int i;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno)
		return -EINVAL;
	for (i = 7; i >= 0; i--, n >>= 8)
		bytes[i] = n & 0xff;
	for (i = 0; i < 7 && !bytes[i]; i++)
		;
	fr_put_bytes(w, bytes + i, (size_t)(8 - i));
	return 0;
}

static int nibble(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* "00:1b:21", "00-1b-21" or "001b21" */
static int put_hex(struct fr_writer *w, const char *text)
{
	if (!*text)
		return -EINVAL;
	while (*text) {
		int high = nibble(text[0]),
		    low = high < 0 ? -1 : nibble(text[1]);

		if (low < 0)
			return -EINVAL;
		fr_put_u8(w, (uint8_t)(high << 4 | low));
		text += 2;
		if ((*text == ':' || *text == '-') && text[1])
			text++;
	}
	return 0;
}

static int put_net(struct fr_writer *w, const char *text)
{
	struct fr_network net;

	if (fr_network_parse(text, &net))
		return -EINVAL;
	fr_put_bytes(w, net.addr, net.family == AF_INET ? 4 : 16);
	fr_put_u8(w, net.prefix_len);
	return 0;
}

static int put_text(struct fr_writer *w, const char *text)
{
	if (!fr_item_is_text((const uint8_t *)text, strlen(text)))
		return -EINVAL;
	fr_put_bytes(w, text, strlen(text));
	return 0;
}

static int put_bytes(struct fr_writer *w, const char *text)
{
	return strncmp(text, "hex:", 4) ? put_text(w, text) :
					  put_hex(w, text + 4);
}

static int put_family(struct fr_writer *w, const char *text)
{
	uint8_t i;

	for (i = 0; i < N_OF(families); i++) {
		if (!families[i] || strcmp(families[i], text))
			continue;
		fr_put_u8(w, i);
		return 0;
	}
	return -EINVAL;
}

int fr_item_field_put(struct fr_writer *w, const struct fr_item_field *f,
		      const char *text)
{
	switch (f->type) {
	case FR_ITEM_NUMBER:
	case FR_ITEM_TIME:
		return put_number(w, text);
	case FR_ITEM_HEX:
	case FR_ITEM_USERDATA:
		return put_hex(w, text);
	case FR_ITEM_NET:
		return put_net(w, text);
	case FR_ITEM_BYTES:
		return put_bytes(w, text);
	case FR_ITEM_FAMILY:
		return put_family(w, text);
	default:
		return put_text(w, text);
	}
}

static const char *const flaws[] = {
	[FR_ITEM_STRING] = "not text in UTF-8",
	[FR_ITEM_NUMBER] = "not a number",
	[FR_ITEM_TIME] = "not seconds since 1970",
	[FR_ITEM_HEX] = "not bytes in hexadecimal, as in 00:1b:21:3c:4d:5e",
	[FR_ITEM_NET] = "not an address or a prefix without host bits",
	[FR_ITEM_BYTES] = "not text in UTF-8, or hex: and digits",
	[FR_ITEM_FAMILY] = "not ip, ip6, inet, arp, bridge or netdev",
	[FR_ITEM_USERDATA] = "not bytes in hexadecimal, as in 00:02:78:00",
};

const char *fr_item_field_flaw(const struct fr_item_field *f)
{
	return flaws[f->type];
}

/* --- for people --------------------------------------------------------- */

json_t *fr_item_field_hex(const char *prefix, const uint8_t *field, size_t len,
			  const char *between)
{
	size_t step = 2 + strlen(between), i;
	char *text = malloc(strlen(prefix) + len * step + 1), *to;
	json_t *value;

	if (!text)
		return NULL;
	to = stpcpy(text, prefix);
	for (i = 0; i < len; i++)
		to += sprintf(to, "%s%02x", i ? between : "", field[i]);
	value = json_string(text);
	free(text);
	return value;
}

static json_t *net_to_json(const uint8_t *field, size_t len)
{
	char text[INET6_ADDRSTRLEN] = "";
	int full = len == 5 ? 32 : 128;

	inet_ntop(len == 5 ? AF_INET : AF_INET6, field, text, sizeof(text));
	return field[len - 1] == full ?
		       json_string(text) :
		       json_sprintf("%s/%u", text, field[len - 1]);
}

static json_t *field_to_json(const struct fr_item_field *f,
			     const uint8_t *field, size_t len)
{
	/* What no check has seen is shown as what it is. */
	if (!fr_item_field_is_good(f, field, len))
		return fr_item_field_hex("hex:", field, len, "");
	switch (f->type) {
	case FR_ITEM_NUMBER:
	case FR_ITEM_TIME:
		return json_integer((json_int_t)get_number(field, len));
	case FR_ITEM_HEX:
	case FR_ITEM_USERDATA:
		return fr_item_field_hex("", field, len, ":");
	case FR_ITEM_FAMILY:
		return json_string(families[field[0]]);
	case FR_ITEM_NET:
		return net_to_json(field, len);
	case FR_ITEM_BYTES:
		if (!fr_item_is_text(field, len))
			return fr_item_field_hex("hex:", field, len, "");
		/* fall through */
	default:
		return json_stringn((const char *)field, len);
	}
}

/*
 * What nft keeps with an element is a row of its own: type and length, a byte each, and value.
 * Type 0 is the comment, with a NUL behind it.
 */
const uint8_t *fr_item_field_comment(const uint8_t *field, size_t len, size_t *comment_len)
{
	struct fr_reader r;
	const uint8_t *value;
	uint8_t type, value_len;

	fr_reader_init(&r, field, len);
	while (fr_reader_left(&r)) {
		type = fr_get_u8(&r);
		value_len = fr_get_u8(&r);
		value = fr_get_ref(&r, value_len);
		if (!value)
			return NULL;
		if (type || !value_len || value[value_len - 1] ||
		    !fr_item_is_text(value, value_len - 1u))
			continue;
		*comment_len = value_len - 1u;
		return value;
	}
	return NULL;
}

void fr_item_field_to_json(json_t *obj, const struct fr_item_field *f,
			   const uint8_t *field, size_t len)
{
	const uint8_t *comment = NULL;
	size_t comment_len;

	json_object_set_new(obj, f->name, field_to_json(f, field, len));
	if (f->type == FR_ITEM_USERDATA)
		comment = fr_item_field_comment(field, len, &comment_len);
	if (comment)
		json_object_set_new(obj, "comment",
				    json_stringn((const char *)comment, comment_len));
}
