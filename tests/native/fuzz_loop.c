/* A small coverage-guided loop for compilers without libFuzzer (gcc's -fsanitize-coverage=trace-pc).
 *
 * Usage: fuzz CORPUS SECONDS SEED DICTIONARY. Inputs that reach something new are added to the folder CORPUS; the one that ends the program
 * is left there as ``crash``. SECONDS of 0 plays the folder once. DICTIONARY has lines of hexadecimal bytes.
 */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_cov_trace_pc(void);
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

#define PLACES 65536
#define LONGEST 4096
#define MOST 20000

struct bytes {
    uint8_t *data;
    size_t size;
};

static uint8_t hits[PLACES], seen[PLACES];
static uintptr_t before;
static struct bytes corpus[MOST], words[1000];
static size_t corpus_count, word_count;
static const char *folder;
static uint8_t now[LONGEST];
static size_t now_size;
static uint64_t state;

void __sanitizer_cov_trace_pc(void)
{
    uintptr_t here = (uintptr_t)__builtin_return_address(0);
    uint8_t *hit = &hits[(here ^ before << 1) % PLACES]; /* pairs: from where to where */
    *hit += *hit < 255;
    before = here;
}

static uint32_t chance(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (uint32_t)(state >> 20) % below : 0;
}

static void save(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file) {
        fwrite(now, 1, now_size, file);
        fclose(file);
    }
}

static void at_death(void)
{
    save("crash");
}

static void at_abort(int number)
{
    at_death();
    _exit(128 + number);
}

static int is_new(void)
{
    int found = 0;
    for (size_t at = 0; at < PLACES; at++)
        if (hits[at]) {
            uint8_t bucket = hits[at] < 4 ? (uint8_t)(1 << (hits[at] - 1)) : hits[at] < 8 ? 8 : hits[at] < 32 ? 16 : hits[at] < 128 ? 32 : 64;
            found |= ~seen[at] & bucket;
            seen[at] |= bucket;
        }
    return found;
}

static int play(void)
{
    memset(hits, 0, sizeof hits);
    before = 0;
    LLVMFuzzerTestOneInput(now, now_size);
    return is_new();
}

static void keep(void)
{
    if (corpus_count == MOST)
        return;
    struct bytes *kept = &corpus[corpus_count++];
    kept->data = malloc(now_size + 1);
    kept->size = now_size;
    memcpy(kept->data, now, now_size);
}

static void put(size_t at, const uint8_t *bytes, size_t size, int over)
{
    size_t room = LONGEST - (over ? at : now_size);
    size = size > room ? room : size;
    if (!over)
        memmove(now + at + size, now + at, now_size - at);
    memcpy(now + at, bytes, size);
    now_size = over ? (at + size > now_size ? at + size : now_size) : now_size + size;
}

static void mutate(void)
{
    size_t at = chance((uint32_t)now_size + 1), size = chance(chance(8) ? 12 : 400) + 1;
    const struct bytes *other = &corpus[chance((uint32_t)corpus_count)];
    uint8_t bytes[4] = {(uint8_t)chance(256), (uint8_t)chance(256), (uint8_t)chance(256), (uint8_t)chance(256)};
    size_t from = chance((uint32_t)other->size + 1);
    switch (chance(9)) {
    case 0: put(at, bytes, 1, 1); break;
    case 1: put(at, bytes, 1 + chance(4), 0); break;
    case 2: if (at < now_size) now[at] ^= (uint8_t)(1 << chance(8)); break;
    case 3: if (at < now_size) now[at] = (uint8_t)(now[at] + chance(9) - 4); break;
    case 4: if (word_count) put(at, words[from % word_count].data, words[from % word_count].size, (int)chance(2)); break;
    case 5:
    case 6: put(at, other->data + from, size > other->size - from ? other->size - from : size, (int)chance(2)); break;
    case 7: if (at < now_size) put(at, (const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0" + chance(9), 1 + chance(8), 1); break;
    default:
        size = size > now_size - at ? now_size - at : size;
        memmove(now + at, now + at + size, now_size - at - size);
        now_size -= size;
    }
}

static void read_folder(void)
{
    DIR *entries = opendir(folder);
    char path[4096];
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (file) {
            now_size = fread(now, 1, LONGEST, file);
            fclose(file);
            keep();
        }
    }
    if (entries)
        closedir(entries);
}

static void read_words(const char *path)
{
    char line[2 * 256 + 2];
    FILE *file = fopen(path, "r");
    while (file && word_count < sizeof words / sizeof *words && fgets(line, sizeof line, file)) {
        struct bytes *word = &words[word_count++];
        word->size = strspn(line, "0123456789abcdef") / 2;
        word->data = calloc(1, word->size + 1);
        for (size_t at = 0; at < word->size; at++)
            sscanf(line + 2 * at, "%2hhx", &word->data[at]);
    }
    if (file)
        fclose(file);
}

int main(int count, char **arguments)
{
    if (count != 5)
        return 2;
    folder = arguments[1];
    double seconds = atof(arguments[2]);
    state = strtoull(arguments[3], NULL, 10) * 2654435769u + 88172645463325252u;
    read_folder();
    read_words(arguments[4]);
    signal(SIGABRT, at_abort);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(at_death);
    unsigned long played = 0, found = 0;
    for (size_t at = 0; at < corpus_count; at++, played++) {
        memcpy(now, corpus[at].data, now_size = corpus[at].size);
        play();
    }
    for (time_t end = time(NULL) + (time_t)seconds; corpus_count && seconds > 0 && time(NULL) < end; played++) {
        const struct bytes *one = &corpus[chance((uint32_t)corpus_count)];
        memcpy(now, one->data, now_size = one->size);
        for (uint32_t times = 1 + chance(6); times; times--)
            mutate();
        if (play()) {
            char name[40];
            snprintf(name, sizeof name, "found-%06lu", found++);
            save(name);
            keep();
        }
    }
    size_t places = 0;
    for (size_t at = 0; at < PLACES; at++)
        places += seen[at] != 0;
    printf("%lu inputs, %lu of them new, %zu places reached\n", played, found, places);
    return 0;
}
