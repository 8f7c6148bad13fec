// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a stranger says to a node that does not encrypt: the first byte chooses the end that it talks to.
 * Nobody without the secret gets further than the handshake, whatever the bytes. And an offer of a proof,
 * which says how long it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clear.h"
#include "proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct keys secret;

static void must(int is_true)
{
	if (!is_true)
		abort();
}

static int admit(void *cookie, const uint8_t *identity, size_t len, struct keys_identity *id,
		 const struct keys **found)
{
	char text[KEYS_IDENTITY_SIZE];

	(void)cookie;
	*found = &secret;
	if (keys_identity_parse(identity, len, id))
		return -EACCES;
	must(!keys_identity_format(text, id));
	must(strlen(text) == len && !memcmp(text, identity, len));
	return 0;
}

static void talk(int is_dialler, const uint8_t *data, size_t len)
{
	struct keys_identity id = { .dialler = "fw1", .listener = "fw2" };
	struct clear *c;
	int fd[2], i, rc;

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd));
	c = is_dialler ? clear_dial(fd[0], &id, &secret) : clear_listen(fd[0], admit, NULL);
	must(!!c);
	if (len && write(fd[1], data, len) < 0)
		len = 0;
	shutdown(fd[1], SHUT_WR);
	for (i = 0, rc = -EAGAIN; i < 8 && rc == -EAGAIN; i++)
		rc = clear_handshake(c);
	must(rc < 0);
	clear_free(c);
	close(fd[0]);
	close(fd[1]);
}

static void offer(const uint8_t *data, size_t len)
{
	uint8_t binding[PROOF_BINDING_LEN] = { 0 }, answer[PROOF_ANSWER_LEN];
	int n = len ? proof_offer_len(data[0]) : -EBADMSG;

	must(n == -EBADMSG || (n > 1 && n <= PROOF_OFFER_MAX));
	if (n > 0 && (size_t)n <= len)
		must(proof_answer(&secret, 1, binding, data, answer) == -EKEYREJECTED);
	if (len >= PROOF_ANSWER_LEN)
		must(proof_check(&secret, 1, binding, data) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (keys_init(&secret, "0123456789abcdef", 16) || !len)
		return 0;
	if (data[0] % 4 == 3)
		offer(data + 1, len - 1);
	else
		talk(data[0] % 2, data + 1, len - 1);
	return 0;
}
