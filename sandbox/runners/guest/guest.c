/*
 * The one native program in a container: it does what Node and a shell cannot.
 *
 *   flotilla-guest init PROGRAM ARGUMENT...
 *     Runs a program as the first process of a container and ends with its exit code. Orphans
 *     come to the first process; here they are waited for, so that none stays a zombie.
 *
 *   flotilla-guest await PROGRAM ARGUMENT...
 *     The same, once a byte has come over standard input, which the program does not see. Without
 *     one, when standard input ends, it ends too.
 *
 *   flotilla-guest terminal ROWS COLUMNS PROGRAM ARGUMENT...
 *     Runs a program in a pseudo-terminal of its own and ends with its exit code. What the
 *     terminal shows goes to standard output. Standard input is frames: a kind, two numbers of 16
 *     bits (least byte first), and data.
 *       'i' LENGTH 0, LENGTH bytes   input, as typed
 *       'r' ROWS COLUMNS             the size of the terminal
 *       's' SIGNAL 0                 a signal to all that runs in the terminal
 *     The end of standard input hangs up. Standard error tells why a program could not be
 *     started, and is closed when it was.
 *
 *   flotilla-guest shell PROGRAM ARGUMENT...
 *     The same, in an environment and a size that come as the first frames of standard input, so
 *     that no list of processes and no file has them.
 *       'e' LENGTH 0, LENGTH bytes   a variable, as NAME=VALUE
 *       'g' ROWS COLUMNS             no more of them: go
 *
 * The terminals of gVisor know neither the keys that signal (ISIG in termios(3)) nor a signal for
 * a new size: both are done here, which is right under Linux too.
 *
 * Linked statically, so that it runs in any image.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum {
  CANNOT_RUN = 126,
  NOT_FOUND = 127,
  HEADER_BYTES = 5,
  /* Holds the largest frame whole, and another beside it. */
  BUFFER_BYTES = 128 * 1024,
  /* What the program wrote last is there after so long without anything new. */
  QUIET_MS = 50,
  /* How long programs may take to end after a hang-up. */
  HANG_UP_MS = 2000,
};

struct buffer {
  unsigned char bytes[BUFFER_BYTES];
  size_t length;
};

static int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int fail(const char *what) {
  dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
  return CANNOT_RUN;
}

/* Becomes the program, or says on `report` why not and ends. */
static void run(char **arguments, int report) {
  execvp(arguments[0], arguments);
  int code = errno == ENOENT ? NOT_FOUND : CANNOT_RUN;
  dprintf(report, "cannot start %s: %s\n", arguments[0], strerror(errno));
  _exit(code);
}

static int init(char **arguments) {
  /* A fork would copy what the program replaces at once, and gVisor takes milliseconds for that. */
  pid_t program = vfork();
  if (program < 0) return fail("vfork");
  if (program == 0) run(arguments, STDERR_FILENO);
  /* The container's input is the program's alone: its end must be seen at the other side. */
  close(STDIN_FILENO);
  for (;;) {
    int status;
    pid_t ended = wait(&status);
    if (ended == program) return exit_code_of(status);
    if (ended < 0 && errno != EINTR) return fail("wait");
  }
}

static int controller, terminal, ended_pipe[2];

static void note_end(int signal) {
  (void)signal;
  int before = errno;
  if (write(ended_pipe[1], "", 1) < 0) { /* One note that waits is enough. */ }
  errno = before;
}

static void signal_foreground(int signal) {
  pid_t group = tcgetpgrp(terminal);
  if (group > 0) kill(-group, signal);
}

/* Everything in the session but this process, which leads it. Source of the format: proc(5). */
static void signal_session(int signal) {
  DIR *processes = opendir("/proc");
  if (processes == NULL) return;
  for (struct dirent *entry; (entry = readdir(processes)) != NULL;) {
    char path[300], text[512];
    int pid = atoi(entry->d_name), session;
    if (pid <= 0 || pid == getpid()) continue;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    if (length <= 0) continue;
    text[length] = 0;
    const char *name_end = strrchr(text, ')');
    if (name_end == NULL || sscanf(name_end + 1, " %*c %*d %*d %d", &session) != 1) continue;
    if (session == getsid(0)) kill(pid, signal);
  }
  closedir(processes);
}

static void set_size(int rows, int columns) {
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  ioctl(controller, TIOCSWINSZ, &size);
  signal_foreground(SIGWINCH);
}

/* What a key signals, as the terminal is set now; 0 for other keys. */
static int signal_of(unsigned char key, const struct termios *settings) {
  if (!(settings->c_lflag & ISIG) || key == _POSIX_VDISABLE) return 0;
  if (key == settings->c_cc[VINTR]) return SIGINT;
  if (key == settings->c_cc[VQUIT]) return SIGQUIT;
  if (key == settings->c_cc[VSUSP]) return SIGTSTP;
  return 0;
}

static void append(struct buffer *buffer, const unsigned char *bytes, size_t length) {
  size_t room = sizeof buffer->bytes - buffer->length;
  if (length > room) length = room;
  memcpy(buffer->bytes + buffer->length, bytes, length);
  buffer->length += length;
}

static void take_from(struct buffer *buffer, size_t length) {
  buffer->length -= length;
  memmove(buffer->bytes, buffer->bytes + length, buffer->length);
}

/* Input as typed: keys that signal do so, and what was typed before them is forgotten. */
static void type(const unsigned char *keys, size_t length, struct buffer *typed,
                 struct buffer *shown) {
  struct termios settings;
  if (tcgetattr(terminal, &settings) < 0) settings.c_lflag = 0;
  for (size_t at = 0; at < length; at++) {
    int signal = signal_of(keys[at], &settings);
    if (signal == 0) {
      append(typed, keys + at, 1);
      continue;
    }
    if (!(settings.c_lflag & NOFLSH)) {
      typed->length = 0;
      tcflush(terminal, TCIFLUSH);
    }
    unsigned char echo[] = {'^', keys[at] ^ 0x40};
    if (settings.c_lflag & ECHO && keys[at] < 0x20) append(shown, echo, sizeof echo);
    signal_foreground(signal);
  }
}

/* Does what the whole frames among those received say; input waits while much is untaken. */
static void obey(struct buffer *received, struct buffer *typed, struct buffer *shown) {
  size_t at = 0;
  while (received->length - at >= HEADER_BYTES) {
    const unsigned char *frame = received->bytes + at;
    int first = frame[1] | frame[2] << 8, second = frame[3] | frame[4] << 8;
    size_t length = HEADER_BYTES + (frame[0] == 'i' ? (size_t)first : 0);
    if (received->length - at < length || typed->length + length > BUFFER_BYTES) break;
    if (frame[0] == 'i') type(frame + HEADER_BYTES, (size_t)first, typed, shown);
    if (frame[0] == 'r') set_size(first, second);
    if (frame[0] == 's') signal_session(first);
    at += length;
  }
  take_from(received, at);
}

/* Whether there is more to come of a descriptor. */
static int fill(struct buffer *buffer, int from) {
  ssize_t length = read(from, buffer->bytes + buffer->length, BUFFER_BYTES - buffer->length);
  if (length > 0) buffer->length += (size_t)length;
  return length > 0 || (length < 0 && (errno == EINTR || errno == EAGAIN));
}

/* Whether a descriptor can be written to still. */
static int drain(struct buffer *buffer, int to) {
  ssize_t length = write(to, buffer->bytes, buffer->length);
  if (length > 0) take_from(buffer, (size_t)length);
  return length >= 0 || errno == EINTR || errno == EAGAIN;
}

/* Passes bytes between the terminal and standard input and output until the program has ended. */
static int relay(pid_t program) {
  static struct buffer received, typed, shown;
  int input_open = 1, output_open = 1, waited_ms = 0, code = -1, killed = 0;
  while (code < 0 || (output_open && (shown.length > 0 || waited_ms < QUIET_MS))) {
    /* Without room it is not asked, and then its end says nothing of what is left in it. */
    int reads = shown.length < BUFFER_BYTES / 2;
    struct pollfd polled[] = {
        {.fd = input_open && received.length < BUFFER_BYTES ? STDIN_FILENO : -1, .events = POLLIN},
        {.fd = reads || typed.length > 0 ? controller : -1,
         .events = (short)((reads ? POLLIN : 0) | (typed.length > 0 ? POLLOUT : 0))},
        {.fd = output_open && shown.length > 0 ? STDOUT_FILENO : -1, .events = POLLOUT},
        {.fd = ended_pipe[0], .events = POLLIN},
    };
    int wait_ms = code >= 0 ? QUIET_MS : input_open && output_open ? -1 : HANG_UP_MS;
    int ready = poll(polled, 4, wait_ms);
    if (ready == 0 && code >= 0 && shown.length == 0) waited_ms = QUIET_MS;
    if (ready == 0 && code < 0) {
      if (killed) return 128 + SIGKILL;
      killed = 1;
      signal_session(SIGKILL);
    }
    if (ready <= 0) continue;
    if (polled[0].revents != 0 && !fill(&received, STDIN_FILENO)) {
      input_open = 0;
      signal_session(SIGHUP);
      signal_session(SIGCONT);
    }
    obey(&received, &typed, &shown);
    if (polled[1].revents & POLLIN && !fill(&shown, controller)) waited_ms = QUIET_MS;
    if (polled[1].revents & POLLOUT && typed.length > 0) drain(&typed, controller);
    if (reads && polled[1].revents & (POLLHUP | POLLERR) && !(polled[1].revents & POLLIN)) {
      waited_ms = QUIET_MS;
    }
    if (polled[2].revents != 0 && !drain(&shown, STDOUT_FILENO)) {
      output_open = 0;
      shown.length = 0;
      signal_session(SIGHUP);
    }
    if (polled[3].revents & POLLIN) {
      char notes[64];
      if (read(ended_pipe[0], notes, sizeof notes) < 0) continue;
      int status;
      if (code < 0 && waitpid(program, &status, WNOHANG) == program) {
        code = exit_code_of(status);
        typed.length = 0;
        signal_foreground(SIGHUP);
        /* With the last other holder of it gone, Linux tells the end of the terminal. */
        close(terminal);
      }
    }
  }
  return code;
}

static int run_in_terminal(int rows, int columns, char **arguments) {
  controller = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (controller < 0 || grantpt(controller) < 0 || unlockpt(controller) < 0) {
    return fail("cannot open a pseudo-terminal");
  }
  /* It leads the session: only who belongs to it is told which group is in the foreground. */
  setsid();
  const char *name = ptsname(controller);
  terminal = name == NULL ? -1 : open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0 || ioctl(terminal, TIOCSCTTY, 0) < 0 || pipe2(ended_pipe, O_CLOEXEC) < 0) {
    return fail("cannot take a pseudo-terminal");
  }
  fcntl(controller, F_SETFL, O_NONBLOCK);
  fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
  fcntl(ended_pipe[1], F_SETFL, O_NONBLOCK);
  signal(SIGCHLD, note_end);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTTOU, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  set_size(rows, columns);
  pid_t program = fork();
  if (program < 0) return fail("fork");
  if (program == 0) {
    setpgid(0, 0);
    tcsetpgrp(terminal, getpid());
    for (int each = 1; each < NSIG; each++) signal(each, SIG_DFL);
    int report = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    for (int each = 0; each < 3; each++) dup2(terminal, each);
    run(arguments, report);
  }
  setpgid(program, program);
  tcsetpgrp(terminal, program);
  close(STDERR_FILENO);
  return relay(program);
}

/* Reads exactly so many bytes; whether they came. */
static int read_whole(void *bytes, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t got = read(STDIN_FILENO, (char *)bytes + done, length - done);
    if (got == 0 || (got < 0 && errno != EINTR)) return 0;
    if (got > 0) done += (size_t)got;
  }
  return 1;
}

static int run_in_shell(char **arguments) {
  clearenv();
  unsigned char header[HEADER_BYTES];
  while (read_whole(header, sizeof header)) {
    int first = header[1] | header[2] << 8, second = header[3] | header[4] << 8;
    if (header[0] == 'g') return run_in_terminal(first, second, arguments);
    char *variable = calloc(1, (size_t)first + 1);
    if (header[0] != 'e' || variable == NULL || !read_whole(variable, (size_t)first)) break;
    putenv(variable);
  }
  errno = EPROTO;
  return fail("cannot begin");
}

static int await_word(char **arguments) {
  char word;
  return read_whole(&word, 1) ? init(arguments) : 0;
}

int main(int count, char **arguments) {
  if (count >= 3 && strcmp(arguments[1], "init") == 0) return init(arguments + 2);
  if (count >= 3 && strcmp(arguments[1], "await") == 0) return await_word(arguments + 2);
  if (count >= 5 && strcmp(arguments[1], "terminal") == 0) {
    return run_in_terminal(atoi(arguments[2]), atoi(arguments[3]), arguments + 4);
  }
  if (count >= 3 && strcmp(arguments[1], "shell") == 0) return run_in_shell(arguments + 2);
  dprintf(STDERR_FILENO, "flotilla-guest init|await|shell|terminal ROWS COLUMNS PROGRAM ARGUMENT...\n");
  return 2;
}
