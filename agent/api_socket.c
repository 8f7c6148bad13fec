// SPDX-License-Identifier: GPL-2.0-or-later
#include "api_socket.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 128
#define MODE 0660

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
	return fd;
err:
	close(fd);
	return rc;
}

int api_socket_who(int fd, char who[API_WHO_LEN])
{
	struct passwd entry, *found = NULL;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	char room[4096];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	if (!peer.uid)
		snprintf(who, API_WHO_LEN, "root");
	else if (!getpwuid_r(peer.uid, &entry, room, sizeof(room), &found) && found &&
		 *found->pw_name && strlen(found->pw_name) < API_WHO_LEN)
		snprintf(who, API_WHO_LEN, "%s", found->pw_name);
	else
		snprintf(who, API_WHO_LEN, "%u", peer.uid);
	return 0;
}

void api_socket_remove(const struct api_socket *s)
{
	struct stat st;

	if (!lstat(s->address.sun_path, &st) && st.st_dev == s->dev &&
	    st.st_ino == s->ino)
		unlink(s->address.sun_path);
}
