/*
 * Mixes entropy into the OpenSSL that a Node program carries.
 *
 * OpenSSL keeps the state of its generators in the process's memory, so every process that is
 * restored from one memory image goes on with the same state. RAND_add and RAND_poll reseed the
 * root generator; those of all threads, present and future, then seed themselves from it.
 * JavaScript can reach neither. Node's binary exports both, and Node-API, whose few functions
 * are declared here so that no headers are needed to build this.
 */
#include <stdbool.h>
#include <stddef.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);

int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
int napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
int napi_get_buffer_info(napi_env, napi_value, void **, size_t *);
int napi_get_boolean(napi_env, bool, napi_value *);

void RAND_add(const void *bytes, int count, double entropy);
int RAND_poll(void);
int RAND_status(void);

#define ENOUGH_BYTES 48

/* Takes one Buffer of at least 48 random bytes; tells whether the generators are seeded anew. */
static napi_value reseed(napi_env env, napi_callback_info info) {
  napi_value given = NULL, result = NULL;
  size_t given_count = 1, byte_count = 0;
  void *bytes = NULL;
  bool done = false;
  if (napi_get_cb_info(env, info, &given_count, &given, NULL, NULL) == 0 && given_count == 1 &&
      napi_get_buffer_info(env, given, &bytes, &byte_count) == 0 && byte_count >= ENOUGH_BYTES) {
    RAND_add(bytes, (int)byte_count, (double)byte_count);
    done = RAND_poll() == 1 && RAND_status() == 1;
  }
  napi_get_boolean(env, done, &result);
  return result;
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env,
                                                                          napi_value exports) {
  napi_value function = NULL;
  if (napi_create_function(env, "reseed", 6, reseed, NULL, &function) != 0) return exports;
  return function;
}
