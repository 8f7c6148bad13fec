// SPDX-License-Identifier: GPL-2.0-or-later
#include "beat.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <string.h>

#include "cursor.h"

#define MAGIC		"FRHB"
#define MAGIC_LEN	4
#define HEAD_LEN	(MAGIC_LEN + 1)
#define BODY_LEN	(FR_BEAT_LEN - FR_BEAT_MAC_LEN)
#define ID_LEN		(FR_NODE_ID_MAX_LEN + 1)
#define RULE_MAX	2	/* of enum fr_config_split_brain */

static int mac(uint8_t out[FR_BEAT_MAC_LEN], const uint8_t *body,
	       const struct fr_beat_key *key)
{
	return HMAC(EVP_sha256(), key->b, sizeof(key->b), body, BODY_LEN, out, NULL) ? 0 : -EIO;
}

static bool is_id(const char *id)
{
	size_t len = strnlen(id, ID_LEN);

	return len && len < ID_LEN &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyz"
			  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

static bool is_sound(const struct fr_beat *m)
{
	bool has_ballot = m->kind == FR_BEAT_ASK || m->kind == FR_BEAT_VOTE;

	return m->kind >= FR_BEAT_PING && m->kind <= FR_BEAT_VOTE &&
	       m->role <= FR_ROLE_PEER && m->rule <= RULE_MAX &&
	       (m->kind == FR_BEAT_VOTE) == (m->verdict != FR_BEAT_NONE) &&
	       m->verdict <= FR_BEAT_FAILED && has_ballot == (m->ballot != 0) &&
	       m->stamp.session && m->stamp.counter && is_id(m->from) &&
	       (is_id(m->to) || !strcmp(m->to, FR_BEAT_ANYONE)) &&
	       (m->primary_epoch ? is_id(m->primary) : !m->primary[0]);
}

static void put_id(struct fr_writer *w, const char *id)
{
	char text[ID_LEN] = "";

	memcpy(text, id, strnlen(id, ID_LEN - 1));
	fr_put_bytes(w, text, sizeof(text));
}

/* Behind its end there are zeros only: there is one way to write it. */
static void get_id(struct fr_reader *r, char id[ID_LEN])
{
	size_t i;

	fr_get_bytes(r, id, ID_LEN);
	for (i = strnlen(id, ID_LEN - 1); i < ID_LEN; i++)
		r->bad |= id[i] != 0;
}

static void encode(struct fr_writer *w, const struct fr_beat *m)
{
	fr_put_bytes(w, MAGIC, MAGIC_LEN);
	fr_put_u8(w, FR_BEAT_VERSION);
	fr_put_u8(w, m->kind);
	fr_put_u8(w, m->role);
	fr_put_u8(w, m->verdict);
	fr_put_be64(w, m->stamp.session);
	fr_put_be64(w, m->stamp.counter);
	fr_put_be64(w, m->echo.session);
	fr_put_be64(w, m->echo.counter);
	fr_put_be64(w, m->epoch);
	fr_put_be64(w, m->promised);
	fr_put_be64(w, m->ballot);
	fr_put_be64(w, m->primary_epoch);
	fr_put_be64(w, m->since_us);
	fr_put_be16(w, m->priority);
	fr_put_u8(w, m->rule);
	fr_put_u8(w, m->votes);
	fr_put_be32(w, 0);
	put_id(w, m->from);
	put_id(w, m->to);
	put_id(w, m->primary);
}

static int decode(struct fr_beat *m, const uint8_t *body)
{
	struct fr_reader r;

	fr_reader_init(&r, body, BODY_LEN);
	fr_get_ref(&r, HEAD_LEN);
	m->kind = fr_get_u8(&r);
	m->role = fr_get_u8(&r);
	m->verdict = fr_get_u8(&r);
	m->stamp.session = fr_get_be64(&r);
	m->stamp.counter = fr_get_be64(&r);
	m->echo.session = fr_get_be64(&r);
	m->echo.counter = fr_get_be64(&r);
	m->epoch = fr_get_be64(&r);
	m->promised = fr_get_be64(&r);
	m->ballot = fr_get_be64(&r);
	m->primary_epoch = fr_get_be64(&r);
	m->since_us = fr_get_be64(&r);
	m->priority = fr_get_be16(&r);
	m->rule = fr_get_u8(&r);
	m->votes = fr_get_u8(&r);
	r.bad |= fr_get_be32(&r) != 0;
	get_id(&r, m->from);
	get_id(&r, m->to);
	get_id(&r, m->primary);
	return r.bad || !is_sound(m) ? -EBADMSG : 0;
}

int fr_beat_seal(uint8_t out[FR_BEAT_LEN], const struct fr_beat *m, const struct fr_beat_key *key)
{
	struct fr_writer w;

	if (!is_sound(m))
		return -EINVAL;
	fr_writer_init(&w, out, BODY_LEN);
	encode(&w, m);
	return w.bad ? -EINVAL : mac(out + BODY_LEN, out, key);
}

int fr_beat_open(struct fr_beat *m, const void *buf, size_t len, const struct fr_beat_key *keys,
		 size_t n_keys)
{
	uint8_t want[FR_BEAT_MAC_LEN];
	const uint8_t *body = buf;
	size_t i;
	int rc;

	if (len != FR_BEAT_LEN || memcmp(body, MAGIC, MAGIC_LEN) ||
	    body[MAGIC_LEN] != FR_BEAT_VERSION)
		return -EBADMSG;
	for (i = 0; i < n_keys; i++) {
		if (mac(want, body, &keys[i]))
			return -EIO;
		if (CRYPTO_memcmp(want, body + BODY_LEN, sizeof(want)))
			continue;
		rc = decode(m, body);
		return rc ? rc : (int)i;
	}
	return -EACCES;
}

const char *fr_beat_verdict_text(unsigned int verdict)
{
	static const char *const texts[] = {
		[FR_BEAT_NONE] = "no answer",
		[FR_BEAT_GRANTED] = "granted",
		[FR_BEAT_PRIMARY] = "is primary, or hears one",
		[FR_BEAT_EPOCH] = "has seen or promised that epoch",
		[FR_BEAT_STARTING] = "has just started",
		[FR_BEAT_VOTED] = "has just voted for another node",
		[FR_BEAT_FAILED] = "cannot save its promise",
	};

	return verdict <= FR_BEAT_FAILED ? texts[verdict] : "?";
}
