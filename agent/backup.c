// SPDX-License-Identifier: GPL-2.0-or-later

#include "backup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define MAGIC		"FLYREPBK"
#define MAGIC_LEN	8
#define F_ENCRYPTED	1
#define PREAMBLE_LEN	(MAGIC_LEN + 2 + 2 + KEYS_BACKUP_ID_LEN + KEYS_BACKUP_SALT_LEN)
#define CHUNK_HEAD_LEN	5
#define CHECK_LEN	16
#define CHUNK_MAX_LEN	(FR_FRAME_HEAD_LEN + FR_FRAME_MAX_LEN)

enum chunk { CHUNK_HEAD = 1, CHUNK_FRAME, CHUNK_END };

/* What seals chunks, and opens them. */
struct seal {
	uint8_t preamble[PREAMBLE_LEN];
	uint8_t key[KEYS_BACKUP_LEN];
	bool is_encrypted;
	uint64_t n;		/* chunks so far */
	uint8_t *out;		/* CHUNK_MAX_LEN bytes */
};

/* What a check is over, but for the payload. */
#define CONTEXT_LEN (PREAMBLE_LEN + 8 + CHUNK_HEAD_LEN)

static void make_context(const struct seal *s, const uint8_t head[CHUNK_HEAD_LEN],
			 uint8_t context[CONTEXT_LEN])
{
	struct fr_writer w;

	fr_writer_init(&w, context, CONTEXT_LEN);
	fr_put_bytes(&w, s->preamble, PREAMBLE_LEN);
	fr_put_be64(&w, s->n);
	fr_put_bytes(&w, head, CHUNK_HEAD_LEN);
}

static int digest(const uint8_t context[CONTEXT_LEN], const uint8_t *payload, size_t len,
		  uint8_t check[CHECK_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t md[EVP_MAX_MD_SIZE];
	bool ok;

	ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
	     EVP_DigestUpdate(ctx, context, CONTEXT_LEN) && EVP_DigestUpdate(ctx, payload, len) &&
	     EVP_DigestFinal_ex(ctx, md, NULL);
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -EIO;
	memcpy(check, md, CHECK_LEN);
	return 0;
}

/* AES-256-GCM of @payload into s->out; -EBADMSG: opening, and the tag is wrong. */
static int cipher(struct seal *s, bool seals, const uint8_t context[CONTEXT_LEN],
		  const uint8_t *payload, size_t len, uint8_t check[CHECK_LEN])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[12] = { 0 };
	int n, rc = -EIO;

	memcpy(nonce + 4, context + PREAMBLE_LEN, 8);
	if (!ctx || !EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, s->key, nonce, seals) ||
	    !EVP_CipherUpdate(ctx, NULL, &n, context, CONTEXT_LEN) ||
	    !EVP_CipherUpdate(ctx, s->out, &n, payload, (int)len))
		goto out;
	if (!seals && !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, CHECK_LEN, check))
		goto out;
	if (!EVP_CipherFinal_ex(ctx, s->out + n, &n))
		rc = seals ? -EIO : -EBADMSG;
	else if (!seals || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, CHECK_LEN, check))
		rc = 0;
out:
	EVP_CIPHER_CTX_free(ctx);
	return rc;
}

/* @keys: NULL for none, which @is_encrypted does not allow. */
static int seal_init(struct seal *s, const struct keys *keys)
{
	const uint8_t *salt = s->preamble + PREAMBLE_LEN - KEYS_BACKUP_SALT_LEN;

	s->n = 0;
	s->out = malloc(CHUNK_MAX_LEN);
	if (!s->out)
		return -ENOMEM;
	return s->is_encrypted ? keys_backup(keys, salt, s->key) : 0;
}

static void seal_wipe(struct seal *s)
{
	OPENSSL_cleanse(s->key, sizeof(s->key));
	free(s->out);
}

/* --- writing --- */

struct backup {
	struct seal seal;
	char path[PATH_MAX];
	char tmp[PATH_MAX];
	int fd;
	int err;
	uint64_t n_frames;
};

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= n;
	}
	return 0;
}

static int put_chunk(struct backup *b, enum chunk type, const uint8_t *payload, size_t len)
{
	uint8_t head[CHUNK_HEAD_LEN], context[CONTEXT_LEN], check[CHECK_LEN];
	struct seal *s = &b->seal;
	struct fr_writer w;
	int rc;

	if (len > CHUNK_MAX_LEN)
		return -EMSGSIZE;
	fr_writer_init(&w, head, sizeof(head));
	fr_put_be32(&w, len);
	fr_put_u8(&w, type);
	make_context(s, head, context);
	rc = s->is_encrypted ? cipher(s, true, context, payload, len, check) :
			       digest(context, payload, len, check);
	if (!rc)
		rc = write_all(b->fd, head, sizeof(head));
	if (!rc)
		rc = write_all(b->fd, s->is_encrypted ? s->out : payload, len);
	if (!rc)
		rc = write_all(b->fd, check, sizeof(check));
	s->n++;
	return rc;
}

static int put_preamble(struct backup *b, const struct keys *keys)
{
	uint8_t id[KEYS_BACKUP_ID_LEN] = { 0 }, salt[KEYS_BACKUP_SALT_LEN];
	struct seal *s = &b->seal;
	struct fr_writer w;
	int rc;

	s->is_encrypted = keys;
	if (getrandom(salt, sizeof(salt), 0) != sizeof(salt))
		return -EIO;
	rc = keys ? keys_backup_id(keys, id) : 0;
	fr_writer_init(&w, s->preamble, sizeof(s->preamble));
	fr_put_bytes(&w, MAGIC, MAGIC_LEN);
	fr_put_be16(&w, BACKUP_VERSION);
	fr_put_be16(&w, keys ? F_ENCRYPTED : 0);
	fr_put_bytes(&w, id, sizeof(id));
	fr_put_bytes(&w, salt, sizeof(salt));
	if (!rc)
		rc = seal_init(s, keys);
	return rc ? rc : write_all(b->fd, s->preamble, sizeof(s->preamble));
}

static int put_head(struct backup *b, const struct backup_head *head)
{
	uint8_t buf[128];
	struct fr_writer w;

	fr_writer_init(&w, buf, sizeof(buf));
	fr_put_be64(&w, head->time_us);
	fr_put_be64(&w, head->epoch);
	fr_put_bytes(&w, head->history, sizeof(head->history));
	fr_put_str8(&w, head->node_id);
	return put_chunk(b, CHUNK_HEAD, buf, fr_writer_len(&w));
}

int backup_new(struct backup **out, const char *path, const struct keys *keys,
	       const struct backup_head *head)
{
	struct backup *b = calloc(1, sizeof(*b));
	int rc = 0;

	*out = NULL;
	if (!b)
		return -ENOMEM;
	b->fd = -1;
	if (strlen(path) + 5 > sizeof(b->tmp)) {
		free(b);
		return -ENAMETOOLONG;
	}
	strcpy(b->path, path);
	snprintf(b->tmp, sizeof(b->tmp), "%.*s.tmp", PATH_MAX - 5, path);
	b->fd = open(b->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b->fd < 0)
		rc = -errno;
	if (!rc)
		rc = put_preamble(b, keys);
	if (!rc)
		rc = put_head(b, head);
	if (rc) {
		backup_free(b);
		return rc;
	}
	*out = b;
	return 0;
}

int backup_put(struct backup *b, const uint8_t *frame, size_t len)
{
	if (!b->err)
		b->err = put_chunk(b, CHUNK_FRAME, frame, len);
	b->n_frames += !b->err;
	return b->err;
}

static int put_end(struct backup *b, const struct backup_table *tables, size_t n)
{
	uint8_t buf[16 + FR_TABLES_MAX * 17];
	struct fr_writer w;
	size_t i;

	fr_writer_init(&w, buf, sizeof(buf));
	fr_put_be64(&w, b->n_frames);
	fr_put_u8(&w, n);
	for (i = 0; i < n; i++) {
		fr_put_u8(&w, tables[i].id);
		fr_put_be64(&w, tables[i].entries);
		fr_put_be64(&w, tables[i].digest);
	}
	return w.bad ? -EINVAL : put_chunk(b, CHUNK_END, buf, fr_writer_len(&w));
}

/* Only after this the new name survives a loss of power. */
static int sync_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	int fd, rc = 0;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		 slash ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd))
		rc = -errno;
	close(fd);
	return rc;
}

int backup_end(struct backup *b, const struct backup_table *tables, size_t n)
{
	int rc = b->err ? b->err : put_end(b, tables, n);

	if (!rc && fsync(b->fd))
		rc = -errno;
	if (!rc && rename(b->tmp, b->path))
		rc = -errno;
	if (!rc) {
		b->tmp[0] = '\0';
		rc = sync_dir(b->path);
	}
	backup_free(b);
	return rc;
}

void backup_free(struct backup *b)
{
	if (!b)
		return;
	if (b->fd >= 0) {
		close(b->fd);
		if (b->tmp[0])
			unlink(b->tmp);
	}
	seal_wipe(&b->seal);
	free(b);
}

/* --- reading --- */

struct reading {
	struct seal seal;
	const uint8_t *bytes;
	size_t len;
	size_t at;		/* of the chunk that is read */
	struct backup_contents *c;
	struct fr_squeeze *squeeze;
	uint8_t *recs;
	uint64_t n_records[FR_TABLES_MAX];
	int (*on_batch)(void *cookie, const struct fr_table *table, const void *recs, size_t n);
	void *cookie;
	char *why;
	size_t why_len;
};

static __attribute__((format(printf, 3, 4))) int refuse(const struct reading *r, int rc,
							const char *fmt, ...)
{
	char what[120];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	snprintf(r->why, r->why_len, "offset %zu: %s", r->at, what);
	return rc;
}

static int read_preamble(struct reading *r, const struct keys *keys)
{
	uint8_t id[KEYS_BACKUP_ID_LEN], ours[KEYS_BACKUP_ID_LEN];
	struct fr_reader in;
	uint16_t version, flags;
	int rc;

	if (r->len < PREAMBLE_LEN || memcmp(r->bytes, MAGIC, MAGIC_LEN))
		return refuse(r, -EBADMSG, "this is no backup");
	memcpy(r->seal.preamble, r->bytes, PREAMBLE_LEN);
	fr_reader_init(&in, r->bytes + MAGIC_LEN, PREAMBLE_LEN - MAGIC_LEN);
	version = fr_get_be16(&in);
	flags = fr_get_be16(&in);
	memcpy(id, fr_get_ref(&in, sizeof(id)), sizeof(id));
	if (version != BACKUP_VERSION)
		return refuse(r, -EPROTONOSUPPORT, "version %u, and this program reads %u",
			      version, BACKUP_VERSION);
	if (flags & ~F_ENCRYPTED)
		return refuse(r, -EBADMSG, "unknown flags %x", flags);
	r->c->is_encrypted = r->seal.is_encrypted = flags & F_ENCRYPTED;
	if (r->seal.is_encrypted && (!keys || keys_backup_id(keys, ours) ||
				     memcmp(id, ours, sizeof(id))))
		return refuse(r, -EKEYREJECTED, "encrypted with another secret");
	rc = seal_init(&r->seal, keys);
	if (rc)
		return refuse(r, rc, "%s", strerror(-rc));
	r->at = PREAMBLE_LEN;
	return 0;
}

static int read_head(struct reading *r, struct fr_reader *in)
{
	struct backup_head *h = &r->c->head;
	const uint8_t *history;

	h->time_us = fr_get_be64(in);
	h->epoch = fr_get_be64(in);
	history = fr_get_ref(in, sizeof(h->history));
	if (history)
		memcpy(h->history, history, sizeof(h->history));
	fr_get_str8(in, h->node_id, sizeof(h->node_id));
	if (in->bad || !keys_is_node_id(h->node_id))
		return refuse(r, -EBADMSG, "the head makes no sense");
	return 0;
}

static int read_batch(struct reading *r, const struct fr_frame_head *h, const uint8_t *payload)
{
	const struct fr_table *t = fr_table_by_id(h->table);
	const uint8_t *columns;
	struct fr_reader in;
	size_t len, n;

	if (!t)
		return refuse(r, -EBADMSG, "table %u is unknown", h->table);
	if (fr_squeeze_unpack(r->squeeze, payload, h->len, h->flags, &columns, &len) < 0)
		return refuse(r, -EBADMSG, "a frame does not unpack");
	fr_reader_init(&in, columns, len);
	if (t->decode(&in, r->recs, FR_BATCH_MAX_LEN, FR_BATCH_MAX, &n) < 0)
		return refuse(r, -EBADMSG, "a frame of %s is malformed", t->name);
	r->n_records[t->id] += n;
	r->c->n_frames++;
	return r->on_batch ? r->on_batch(r->cookie, t, r->recs, n) : 0;
}

static int read_frame(struct reading *r, const uint8_t *payload, size_t len)
{
	struct fr_frame_head h;

	if (len < FR_FRAME_HEAD_LEN || fr_frame_head_decode(&h, payload) < 0 ||
	    h.type != FR_FRAME_BATCH || !(h.flags & FR_FRAME_F_REPAIR) ||
	    h.len != len - FR_FRAME_HEAD_LEN)
		return refuse(r, -EBADMSG, "no frame of a backup");
	return read_batch(r, &h, payload + FR_FRAME_HEAD_LEN);
}

static int read_end(struct reading *r, struct fr_reader *in)
{
	struct backup_contents *c = r->c;
	uint64_t n_frames = fr_get_be64(in), seen = 0;
	size_t i;

	c->n_tables = fr_get_u8(in);
	if (c->n_tables > FR_TABLES_MAX)
		return refuse(r, -EBADMSG, "the end makes no sense");
	for (i = 0; i < c->n_tables; i++) {
		struct backup_table *t = &c->tables[i];

		t->id = fr_get_u8(in);
		t->entries = fr_get_be64(in);
		t->digest = fr_get_be64(in);
		if (t->id >= FR_TABLES_MAX || seen >> t->id & 1)
			return refuse(r, -EBADMSG, "the end makes no sense");
		seen |= 1ull << t->id;
		if (t->entries != r->n_records[t->id])
			return refuse(r, -EBADMSG, "%lu records of table %u, and %lu were written",
				      r->n_records[t->id], t->id, t->entries);
	}
	for (i = 0; i < FR_TABLES_MAX; i++)
		if (r->n_records[i] && !(seen >> i & 1))
			return refuse(r, -EBADMSG, "table %zu is not in the end", i);
	if (in->bad || n_frames != c->n_frames)
		return refuse(r, -EBADMSG, "the end makes no sense");
	return 0;
}

/* Verify the chunk at r->at; *payload: what it says. Return: its type, -errno */
static int open_chunk(struct reading *r, const uint8_t **payload, size_t *len)
{
	const uint8_t *chunk = r->bytes + r->at;
	size_t left = r->len - r->at;
	uint8_t context[CONTEXT_LEN], check[CHECK_LEN];
	struct fr_reader in;
	uint8_t type;
	int rc;

	fr_reader_init(&in, chunk, left < CHUNK_HEAD_LEN ? left : CHUNK_HEAD_LEN);
	*len = fr_get_be32(&in);
	type = fr_get_u8(&in);
	if (in.bad || left - CHUNK_HEAD_LEN < CHECK_LEN ||
	    *len > left - CHUNK_HEAD_LEN - CHECK_LEN)
		return refuse(r, -EBADMSG, "the file is cut off");
	if (*len > CHUNK_MAX_LEN)
		return refuse(r, -EBADMSG, "a chunk of %zu bytes", *len);
	*payload = chunk + CHUNK_HEAD_LEN;
	make_context(&r->seal, chunk, context);
	if (r->seal.is_encrypted) {
		memcpy(check, *payload + *len, CHECK_LEN);
		rc = cipher(&r->seal, false, context, *payload, *len, check);
		*payload = r->seal.out;
	} else {
		rc = digest(context, *payload, *len, check);
		if (!rc && memcmp(check, *payload + *len, CHECK_LEN))
			rc = -EBADMSG;
	}
	r->seal.n++;
	return rc ? refuse(r, rc, "damaged: the checksum is wrong") : type;
}

static int read_chunk(struct reading *r, bool *is_end)
{
	bool is_first = !r->seal.n;
	const uint8_t *payload = NULL;
	struct fr_reader in;
	size_t len = 0;
	int rc, type = open_chunk(r, &payload, &len);

	if (type < 0)
		return type;
	fr_reader_init(&in, payload, len);
	if (is_first ? type != CHUNK_HEAD : type == CHUNK_HEAD)
		return refuse(r, -EBADMSG, "a head is missing, or one too many");
	rc = type == CHUNK_HEAD	 ? read_head(r, &in) :
	     type == CHUNK_FRAME ? read_frame(r, payload, len) :
	     type == CHUNK_END	 ? read_end(r, &in) :
				   refuse(r, -EBADMSG, "a chunk of type %d", type);
	*is_end = type == CHUNK_END;
	r->at += CHUNK_HEAD_LEN + len + CHECK_LEN;
	return rc;
}

static int read_all(struct reading *r, const struct keys *keys)
{
	bool is_end = false;
	int rc = read_preamble(r, keys);

	while (!rc && !is_end)
		rc = read_chunk(r, &is_end);
	if (!rc && r->at != r->len)
		rc = refuse(r, -EBADMSG, "something follows the end");
	return rc;
}

int backup_read(const uint8_t *bytes, size_t len, const struct keys *keys,
		struct backup_contents *c,
		int (*on_batch)(void *cookie, const struct fr_table *table, const void *recs,
				size_t n),
		void *cookie, char *why, size_t why_len)
{
	struct reading r = {
		.bytes = bytes, .len = len, .c = c, .on_batch = on_batch, .cookie = cookie,
		.why = why, .why_len = why_len,
	};
	int rc;

	*c = (struct backup_contents){ 0 };
	r.squeeze = fr_squeeze_new();
	r.recs = malloc(FR_BATCH_MAX_LEN); /* touched as far as batches need it */
	rc = r.squeeze && r.recs ? read_all(&r, keys) : refuse(&r, -ENOMEM, "out of memory");
	seal_wipe(&r.seal);
	fr_squeeze_free(r.squeeze);
	free(r.recs);
	return rc;
}
