// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as a datagram of a stranger, which is never one; and as that of a node that has the secret,
 * which says nothing at all or what can be said again in the same bytes. Nobody who echoes nothing of
 * ours is believed, and nothing but a question is answered, once.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "heartbeat.h"
#include "keys.h"

#define BODY_LEN (FR_BEAT_LEN - FR_BEAT_MAC_LEN)
#define NOW 1000000000000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char text[] = "replication {\n mode = \"replica\"\n node_id = \"fw1\"\n"
			   " secret_key = \"0123456789abcdef0123456789abcdef\"\n"
			   " peers = [{ id = \"fw2\", address = \"192.0.2.2\" }]\n"
			   " quorum {\n enabled = true\n witness = \"192.0.2.3\"\n }\n}\n";
static struct fr_config config;
static struct fr_beat_key key;
static unsigned int n_sent;

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static void on_send(void *cookie, const struct heartbeat_voter *v, const uint8_t buf[FR_BEAT_LEN])
{
	(void)cookie;
	(void)v;
	(void)buf;
	n_sent++;
}

static void on_fill(void *cookie, struct fr_beat *m)
{
	(void)cookie;
	(void)m;
}

static void on_heard(void *cookie, const struct heartbeat_voter *v, uint64_t now)
{
	(void)cookie;
	(void)v;
	(void)now;
	abort();
}

static enum fr_beat_verdict on_vote(void *cookie, const struct heartbeat_voter *v, uint64_t now)
{
	on_heard(cookie, v, now);
	return FR_BEAT_GRANTED;
}

static const struct heartbeat_ops ops = {
	.send = on_send,
	.fill = on_fill,
	.heard = on_heard,
	.vote = on_vote,
	.changed = on_heard,
};

static void init(void)
{
	struct fr_diag diag;
	struct keys k;

	must(!fr_config_parse("fuzz", text, strlen(text), 0, &config, &diag));
	fr_diag_free(&diag);
	must(!keys_init(&k, config.secret.bytes, config.secret.len) && !keys_heartbeat(&k, &key));
}

/* As the node with the secret would send it */
static void authentic(uint8_t buf[FR_BEAT_LEN], const uint8_t *data, size_t len)
{
	memset(buf, 0, FR_BEAT_LEN);
	memcpy(buf, data, len < BODY_LEN ? len : BODY_LEN);
	memcpy(buf, "FRHB\x01", 5);
	must(HMAC(EVP_sha256(), key.b, sizeof(key.b), buf, BODY_LEN, buf + BODY_LEN, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t buf[FR_BEAT_LEN], again[FR_BEAT_LEN];
	struct heartbeat *h;
	struct fr_beat m;
	int rc;

	if (!config.node_id)
		init();
	must(fr_beat_open(&m, data, len, &key, 1) < 0);
	authentic(buf, data, len);
	rc = fr_beat_open(&m, buf, sizeof(buf), &key, 1);
	must(!rc || rc == -EBADMSG);
	if (!rc) {
		must(!fr_beat_seal(again, &m, &key));
		must(!memcmp(buf, again, sizeof(buf)));
	}
	must(!heartbeat_new(&h, &config, &ops, NULL));
	n_sent = 0;
	heartbeat_receive(h, data, len, NOW);
	must(!n_sent);
	heartbeat_receive(h, buf, sizeof(buf), NOW);
	must(n_sent <= (!rc && (m.kind == FR_BEAT_PING || m.kind == FR_BEAT_ASK)));
	heartbeat_free(h);
	return 0;
}
