// SPDX-License-Identifier: GPL-2.0-or-later
#include "api_socket.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 128
#define MODE 0660
#define GROUPS_MAX 1024 /* of one user; who has more is taken for nobody */

static int stream_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Return: 0: the file belongs to nobody any more; else why it must stay. */
static int probe(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, rc = -EADDRINUSE;

	if (lstat(address->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = stream_socket();
	if (fd < 0)
		return -errno;
	/* A full queue (EAGAIN) is an answer too. */
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
	    errno != EAGAIN)
		rc = errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
	close(fd);
	return rc;
}

static int bind_to(int fd, const struct sockaddr_un *address)
{
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)))
		return -errno;
	return 0;
}

int api_socket_open(struct api_socket *s, const char *path)
{
	struct stat st;
	int fd, rc;

	*s = (struct api_socket){ .address.sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(s->address.sun_path))
		return -ENAMETOOLONG;
	strcpy(s->address.sun_path, path);
	fd = stream_socket();
	if (fd < 0)
		return -errno;
	/* Before bind: the file is never wider open than this. */
	if (fchmod(fd, MODE)) {
		rc = -errno;
		goto err;
	}
	rc = bind_to(fd, &s->address);
	if (rc == -EADDRINUSE) {
		rc = probe(&s->address);
		if (rc)
			goto err;
		unlink(path);
		rc = bind_to(fd, &s->address);
	}
	if (rc)
		goto err;
	/* And not narrower either, whatever the umask. */
	if (chmod(path, MODE) || lstat(path, &st) || listen(fd, BACKLOG)) {
		rc = -errno;
		unlink(path);
		goto err;
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->uid = st.st_uid;
	s->gid = st.st_gid;
	return fd;
err:
	close(fd);
	return rc;
}

void api_socket_name(uid_t uid, char who[API_WHO_LEN])
{
	struct passwd entry, *found = NULL;
	char room[4096];

	if (!uid)
		snprintf(who, API_WHO_LEN, "root");
	else if (!getpwuid_r(uid, &entry, room, sizeof(room), &found) && found &&
		 *found->pw_name && strlen(found->pw_name) < API_WHO_LEN)
		snprintf(who, API_WHO_LEN, "%s", found->pw_name);
	else
		snprintf(who, API_WHO_LEN, "%u", uid);
}

int api_socket_who(int fd, char who[API_WHO_LEN])
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	api_socket_name(peer.uid, who);
	return 0;
}

bool api_socket_admits(const struct api_socket *s, uid_t uid)
{
	struct passwd entry, *found = NULL;
	gid_t groups[GROUPS_MAX];
	int n = GROUPS_MAX;
	char room[4096];

	if (!uid || uid == s->uid)
		return true;
	if (getpwuid_r(uid, &entry, room, sizeof(room), &found) || !found ||
	    getgrouplist(found->pw_name, found->pw_gid, groups, &n) < 0)
		return false;
	while (n)
		if (groups[--n] == s->gid)
			return true;
	return false;
}

void api_socket_remove(const struct api_socket *s)
{
	struct stat st;

	if (!lstat(s->address.sun_path, &st) && st.st_dev == s->dev &&
	    st.st_ino == s->ino)
		unlink(s->address.sun_path);
}
