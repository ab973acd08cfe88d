/* One input of the fuzzer, played on a lane: what the network and our own Python can do to it, in the order that the input says.
 *
 * ``fuzz_setup.h`` (written by fuzz.py) has the real streams and shapes. Every buffer that the lane gets is a block of its own of exactly the
 * size that lane.h demands, so that the sanitizers see a byte too far. Beside the lane runs a model of what it may give: which topics are
 * armed, where each stands, and what was taken since the last settlement.
 */
#include <string.h>

#include "fuzz_target.h"
#include "fuzz_walk.h"

struct known_shape {
    const struct lane_item *items;
    int item_count;
    const int *fields;
    int field_count;
    int meanings[6];
};

struct known_stream {
    const char *name;
    size_t name_length;
    const char *symbol;
    size_t symbol_length;
    const char *topic;
    size_t topic_length;
    int shape;
    int rule;
    int64_t reach;
};

#include "fuzz_setup.h"

#define KNOWN_STREAMS (sizeof known_streams / sizeof *known_streams)
#define KNOWN_SHAPES (int)(sizeof known_shapes / sizeof *known_shapes)
#define MOST_TOPICS 400
#define MOST_ITEMS (LANE_MAX_ITEMS + 8)
#define MOST_SHAPES 16
#define MOST_PENDING 300000
#define BEGAN_NS 1795533324193019000LL

struct model {
    char name[16], topic[16];
    struct known_stream stream;
    int known; /* armed */
    int64_t last, next, link;
    int rule;
    int64_t reach;
    uint32_t continuity;
    uint64_t passed;
    uint8_t *newest;
    size_t newest_size, newest_room;
    int in_bundle;
};

struct own_shape {
    struct known_shape known;
    struct lane_item items[MOST_ITEMS];
    uint8_t literals[MOST_ITEMS][256];
    int fields[LANE_MAX_FIELDS];
};

static const uint8_t *input;
static size_t input_left;
static struct lane *lane;
static struct model models[MOST_TOPICS];
static uint32_t topic_count;
static struct own_shape own_shapes[MOST_SHAPES];
static int own_count;
static uint8_t pending[MOST_PENDING];
static size_t pending_size;
static uint8_t policy, slack;
static int64_t received_ns;
static uint8_t made[UINT16_MAX + 4]; /* the last whole frame that was made */
static size_t made_size;
static uint64_t frames_taken, frames_told;
static int rough; /* the lane was misused, or got no memory: what it gives must be well-formed, no more */

static uint64_t in(int bytes)
{
    uint64_t value = 0;
    for (; bytes--; input++, input_left--) {
        if (!input_left)
            return value;
        value = value << 8 | *input;
    }
    return value;
}

static const struct known_shape *shape_of(int shape)
{
    return shape < KNOWN_SHAPES ? &known_shapes[shape] : &own_shapes[shape - KNOWN_SHAPES].known;
}

/* ── the lane's tables ───────────────────────────────────────────────────────────────────────────────────── */

static int add_shape(const struct known_shape *known)
{
    const struct lane_shape_spec spec = {
        known->items, known->item_count, known->fields, known->field_count, known->meanings[0], known->meanings[1],
        known->meanings[2], known->meanings[3], known->meanings[4], known->meanings[5],
    };
    return lane_add_shape(lane, &spec);
}

static void add_topic(const struct known_stream *stream)
{
    struct model *model = &models[topic_count];
    if (topic_count == MOST_TOPICS)
        return;
    const struct lane_stream_spec spec = {
        (const uint8_t *)stream->name, stream->name_length, (const uint8_t *)stream->symbol, stream->symbol_length,
        (const uint8_t *)stream->topic, stream->topic_length, topic_count, topic_count % LANE_MAX_KINDS, stream->shape, 1,
    };
    if (lane_add_stream(lane, &spec))
        return;
    model->stream = *stream;
    model->rule = stream->rule;
    model->reach = stream->reach;
    model->last = 10;
    model->next = 11;
    topic_count++;
}

static void open_lane(void)
{
    lane = lane_new((const uint8_t *)PREFIX, sizeof PREFIX - 1);
    frames_taken = frames_told = 0;
    for (int shape = 0; lane && shape < KNOWN_SHAPES; shape++)
        if (add_shape(&known_shapes[shape]) != shape) {
            lane_free(lane);
            lane = NULL;
        }
    for (size_t at = 0; lane && at < KNOWN_STREAMS; at++)
        add_topic(&known_streams[at]);
    if (lane && !topic_count) {
        lane_free(lane);
        lane = NULL;
    }
}

static void close_lane(void)
{
    if (lane)
        lane_free(lane);
    lane = NULL;
    for (uint32_t topic = 0; topic < topic_count; topic++)
        free(models[topic].newest);
    memset(models, 0, sizeof models);
    topic_count = 0;
    own_count = 0;
}

/* More streams than there is room for at first. */
static void add_streams(int count)
{
    for (; count; count--) {
        struct known_stream stream = known_streams[(topic_count + 1) % KNOWN_STREAMS];
        struct model *model = &models[topic_count % MOST_TOPICS];
        if (topic_count == MOST_TOPICS)
            return;
        stream.name_length = (size_t)snprintf(model->name, sizeof model->name, "n%u@x", topic_count);
        stream.topic_length = (size_t)snprintf(model->topic, sizeof model->topic, "t%u", topic_count);
        stream.name = model->name;
        stream.topic = model->topic;
        add_topic(&stream);
    }
}

/* A shape that only the input has thought of: whatever the lane accepts must be safe. */
static void invent_shape(void)
{
    if (own_count == MOST_SHAPES)
        return;
    struct own_shape *own = &own_shapes[own_count];
    struct known_shape *known = &own->known;
    memset(own, 0, sizeof *own);
    known->item_count = (int)(in(1) % (MOST_ITEMS + 1));
    for (int at = 0; at < known->item_count; at++) {
        struct lane_item *item = &own->items[at];
        item->type = (enum lane_item_type)(in(1) % 10);
        item->slot = (int8_t)in(1);
        if (item->type == ITEM_LITERAL) {
            item->length = (uint32_t)in(1);
            for (uint32_t byte = 0; byte < item->length && input_left; byte++)
                own->literals[at][byte] = (uint8_t)in(1);
            item->literal = own->literals[at];
        } else if (item->type == ITEM_TIME) {
            item->low = in(1);
            item->high = in(8);
            item->unit = in(4);
        }
    }
    known->field_count = (int)(in(1) % (LANE_MAX_FIELDS + 1));
    for (int at = 0; at < known->field_count; at++)
        own->fields[at] = (int8_t)in(1);
    for (int at = 0; at < 6; at++)
        known->meanings[at] = (int8_t)in(1);
    known->items = own->items;
    known->fields = own->fields;
    struct known_stream stream = known_streams[0];
    stream.shape = add_shape(known);
    if (stream.shape < 0)
        return;
    MUST(stream.shape == KNOWN_SHAPES + own_count);
    own_count++;
    struct model *model = &models[topic_count % MOST_TOPICS];
    stream.name_length = (size_t)snprintf(model->name, sizeof model->name, "o%d", own_count);
    stream.topic_length = (size_t)snprintf(model->topic, sizeof model->topic, "o%d", own_count);
    stream.name = model->name;
    stream.topic = model->topic;
    stream.symbol_length = in(1) % (stream.symbol_length + 1);
    add_topic(&stream);
}

/* ── what the network brings ─────────────────────────────────────────────────────────────────────────────── */

static void append(const void *bytes, size_t size)
{
    if (pending_size + size <= MOST_PENDING) {
        memcpy(pending + pending_size, bytes, size);
        pending_size += size;
    }
}

static void append_text(const char *text)
{
    append(text, strlen(text));
}

static void append_number(uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    append_text(text);
}

static void append_decimal(uint32_t seed)
{
    uint32_t whole = seed % 7 == 0 ? seed % 36 + 1 : seed % 5 + 1, part = seed % 11 == 0 ? 39 - whole : seed / 5 % 3 + 1;
    for (uint32_t at = 0; at < whole; at++)
        append_text(at % 3 ? "7" : "1");
    if (seed % 13 == 0)
        return;
    append_text(".");
    for (uint32_t at = 0; at < part; at++)
        append_text("0");
}

static void append_levels(uint32_t seed)
{
    uint32_t count = seed % 16 == 15 ? seed * 5 : seed % 4;
    append_text("[");
    for (uint32_t at = 0; at < count; at++) {
        append_text(at ? ",[\"" : "[\"");
        append_decimal(seed + at);
        append_text("\",\"");
        append_decimal(seed * 3 + at);
        append_text("\"]");
    }
    append_text("]");
}

/* Put a head in front of what was appended since ``begin``. */
static void frame_from(size_t begin)
{
    size_t length = pending_size - begin, head = length < 126 ? 2 : 4;
    if (length > UINT16_MAX || pending_size + head > MOST_PENDING) {
        pending_size = begin;
        return;
    }
    memmove(pending + begin + head, pending + begin, length);
    pending[begin] = 0x81;
    pending[begin + 1] = length < 126 ? (uint8_t)length : 126;
    if (head == 4) {
        pending[begin + 2] = (uint8_t)(length >> 8);
        pending[begin + 3] = (uint8_t)length;
    }
    pending_size += head;
    memcpy(made, pending + begin, made_size = length + head);
}

static uint64_t number_for(const struct known_shape *shape, int slot, const struct model *model, int64_t first, uint8_t seed)
{
    const int *meanings = shape->meanings;
    if (slot == meanings[0])
        return (uint64_t)first;
    if (slot == meanings[1])
        return (uint64_t)first + seed % 5;
    if (slot == meanings[4])
        return (uint64_t)model->link + 1;
    return slot == meanings[5] ? (uint64_t)model->link + 1 + seed % 3 : seed * 1000003u;
}

/* A message as the shape wants it, mostly: the next one of its topic, one before, one far ahead, one
 * with a byte of another value, or only its beginning. */
static void make_message(void)
{
    if (!topic_count)
        return;
    struct model *model = &models[in(1) % topic_count];
    const struct known_shape *shape = shape_of(model->stream.shape);
    uint8_t kind = (uint8_t)in(1), seed = (uint8_t)in(1);
    if (kind == 255)
        model->next = model->last < INT64_MAX ? model->last + 1 : model->last;
    int64_t first = kind == 254 ? INT64_MAX - seed % 8 : kind >= 240 ? (int64_t)(in(8) >> 1) : kind >= 220 ? model->last - seed % 3 : model->next;
    size_t begin = pending_size;
    append(PREFIX, sizeof PREFIX - 1);
    if (pending_size == begin)
        return; /* no room */
    append(model->stream.name, model->stream.name_length);
    for (int at = 0; at < shape->item_count; at++) {
        const struct lane_item *item = &shape->items[at];
        uint8_t own = (uint8_t)(seed + 3 * at);
        switch (item->type) {
        case ITEM_LITERAL: append(item->literal, item->length); break;
        case ITEM_SYMBOL: append(model->stream.symbol, model->stream.symbol_length); break;
        case ITEM_ID: append_number(number_for(shape, item->slot, model, first, seed)); break;
        case ITEM_PREDECESSOR: append_number(number_for(shape, item->slot, model, first, seed) - 1); break;
        case ITEM_TIME: append_number(item->unit ? (uint64_t)(BEGAN_NS / 1000) * 1000 / item->unit + own % 4 : own); break;
        case ITEM_FLAG:
        case ITEM_SKIPPED_FLAG: append_text(own & 1 ? "true" : "false"); break;
        case ITEM_DECIMAL: append_decimal(own); break;
        case ITEM_LEVELS: append_levels(own); break;
        }
    }
    if (kind < 220 || kind == 255) {
        uint64_t last = (uint64_t)first + (shape->meanings[0] == shape->meanings[1] ? 0 : seed % 5);
        model->next = last < INT64_MAX ? (int64_t)last + 1 : INT64_MAX;
        model->link = shape->meanings[4] >= 0 ? model->link + 1 + seed % 3 : -1;
    }
    if (kind >= 200 && kind < 220) {
        size_t at = begin + in(2) % (pending_size - begin);
        if (kind < 210)
            pending[at] = (uint8_t)in(1);
        else
            pending_size = at;
    }
    frame_from(begin);
}

/* ── what the lane gives ─────────────────────────────────────────────────────────────────────────────────── */

static void keep_newest(struct model *model, const uint8_t *event, size_t size)
{
    if (model->newest_room < size)
        model->newest = realloc(model->newest, model->newest_room = size * 2);
    memcpy(model->newest, event, size);
    model->newest_size = size;
}

static void check_event(struct walk *walk, struct model *model, int64_t *first, int64_t *last)
{
    const struct known_shape *shape = shape_of(model->stream.shape);
    const uint8_t *begin = walk->at;
    int found = 0;
    MUST(walk_array(walk) == (uint32_t)shape->field_count);
    for (int at = 0; at < shape->field_count; at++) {
        int64_t number = (int64_t)walk_field(walk);
        MUST(rough || shape->fields[at] >= 0 || number == received_ns);
        if (shape->fields[at] == shape->meanings[0])
            *first = number, found |= 1;
        if (shape->fields[at] == shape->meanings[1])
            *last = number, found |= 2;
    }
    if (!rough && found == 3) {
        MUST(*first >= 0 && *last >= *first && *last > model->last);
        MUST(model->rule == RULE_RISING ? *last - model->last <= model->reach : *first == model->last + 1);
        model->last = *last;
    } else if (found != 3) {
        *first = *last = -1;
    }
    model->passed++;
    keep_newest(model, begin, (size_t)(walk->at - begin));
}

static void check_batch(struct walk *walk)
{
    MUST(walk_array(walk) == 7);
    struct walk topic = walk_block(walk, 0xd9);
    struct model *model = NULL;
    for (uint32_t at = 0; at < topic_count; at++)
        if (models[at].stream.topic_length == (size_t)(topic.end - topic.at) && !memcmp(models[at].stream.topic, topic.at, models[at].stream.topic_length))
            model = &models[at];
    MUST(model && !model->in_bundle);
    model->in_bundle = 1;
    MUST(walk_number(walk) == 1);
    uint64_t count = walk_number(walk);
    int64_t batch_first = (int64_t)walk_number(walk), batch_last = (int64_t)walk_number(walk);
    uint64_t continuity = walk_number(walk);
    struct walk events = walk_block(walk, 0xc4);
    MUST(count && walk_array(&events) == count);
    MUST(rough || (model->known && continuity == model->continuity));
    for (uint64_t at = 0; at < count; at++) {
        int64_t first, last;
        check_event(&events, model, &first, &last);
        MUST(first < 0 || at || first == batch_first);
        MUST(rough || last < 0 || at + 1 < count || last == batch_last);
        if (last < 0)
            model->last = batch_last;
    }
    MUST(events.at == events.end);
}

static void check_bundle(size_t size)
{
    uint8_t *block = malloc(size);
    lane_write(lane, block);
    struct walk walk = {block, block + size};
    for (uint32_t left = walk_array(&walk); left; left--)
        check_batch(&walk);
    MUST(walk.at == walk.end);
    free(block);
    for (uint32_t topic = 0; topic < topic_count; topic++)
        models[topic].in_bundle = 0;
}

static void check_account(const struct lane_account *account)
{
    MUST(account->topic_index < topic_count);
    struct model *model = &models[account->topic_index];
    if (!rough) {
        MUST(account->passed == model->passed);
        MUST((account->newest != NULL) == (model->passed > 0));
        MUST(!account->newest || account->last_id == model->last || !model->known);
        MUST(!account->newest || (account->newest_size == model->newest_size && !memcmp(account->newest, model->newest, model->newest_size)));
    } else if (account->newest) {
        struct walk walk = {account->newest, account->newest + account->newest_size};
        for (uint32_t left = walk_array(&walk); left; left--)
            walk_field(&walk);
        MUST(walk.at == walk.end);
    }
    frames_told += account->passed + account->duplicates;
    model->passed = 0;
}

static void check_counts(void)
{
    uint64_t taken = 0, left = 0;
    for (uint32_t kind = 0; kind < LANE_MAX_KINDS; kind++) {
        taken += lane_taken(lane, kind);
        for (int why = 0; why < WHY_COUNT; why++)
            left += lane_left(lane, kind, (enum lane_why)why);
    }
    MUST(rough || taken == frames_taken);
    MUST(left < UINT32_MAX && !lane_taken(lane, LANE_MAX_KINDS) && !lane_left(lane, 0, WHY_COUNT));
}

/* ── what Python does ────────────────────────────────────────────────────────────────────────────────────── */

/* Take every account; places stay known if Python only looks (``keep``). */
static void settle(int keep)
{
    struct lane_account account;
    for (uint32_t at = 0; at < lane_account_count(lane); at++) {
        lane_account(lane, at, &account);
        check_account(&account);
    }
    lane_settled(lane, keep);
    MUST(lane_account_count(lane) == 0);
    for (uint32_t topic = 0; topic < topic_count; topic++) {
        MUST(rough || !models[topic].passed);
        models[topic].known &= keep;
    }
    MUST(rough || frames_told == frames_taken);
}

static void settle_one(uint32_t topic)
{
    struct lane_account account;
    if (lane_settle_one(lane, topic, &account))
        check_account(&account);
    if (topic < topic_count)
        models[topic].known = 0;
}

static void arm(uint32_t topic, int64_t last, int64_t made, int64_t link, int copies)
{
    struct model *model = &models[topic];
    const struct lane_place place = {(enum lane_rule)model->rule, last, model->reach, made, link, (model->continuity + 1) & 0x1ffff, copies};
    MUST(lane_arm(lane, topic, &place) == (last < 0 ? -1 : 0));
    if (last < 0)
        return;
    model->continuity = place.continuity;
    model->known = 1;
    model->last = last;
}

/* Answer for a topic whose place the lane asks for, as Python would: 0 if this read is given up instead. */
static int answer(uint32_t topic)
{
    MUST(topic < topic_count && (rough || !models[topic].known));
    struct model *model = &models[topic];
    switch (policy & 7) {
    case 0: lane_block(lane, topic); break;
    case 1: rough = 1; return 0;
    case 2: rough = 1; settle(0); arm(topic, model->last, -1, -1, 1); break;
    case 3: arm(topic, model->next - 1, BEGAN_NS, -1, 1); break;
    default: arm(topic, model->last, policy & 8 ? BEGAN_NS : -1, policy & 64 ? LINK_NONE : -1, policy >> 4 & 3); break;
    }
    return 1;
}

/* Give the lane the pending bytes up to ``size``, in a block of its own, until it has nothing more to do with them. */
static void read_lane(size_t size)
{
    uint8_t *data = malloc(size + LANE_SLACK);
    memcpy(data, pending, size);
    for (size_t at = 0; at < LANE_SLACK; at++)
        data[size + at] = slack == '.' ? (uint8_t)(at % 41 == 38 ? '.' : '1') : slack;
    struct lane_read read;
    size_t begin = 0;
    for (int asked = 0;; begin = read.span_end) {
        if (lane_take(lane, data, begin, size, received_ns, received_ns, &read)) {
            rough = 1;
            break;
        }
        MUST(read.stopped_at >= begin && read.stopped_at <= read.span_end && read.span_end <= size);
        rough |= fuzz_refused;
        MUST(rough || (read.stop == STOP_SPAN) == (read.span_end > read.stopped_at));
        frames_taken += read.frames;
        for (uint32_t at = 0; at < lane_touched_count(lane); at++) {
            uint32_t topic;
            int64_t first, last;
            lane_touched(lane, at, &topic, &first, &last);
            MUST(topic < topic_count && first >= 0 && last >= 0);
        }
        if (read.stop == STOP_ASK) {
            MUST(!read.bundle_size && asked++ <= MOST_TOPICS);
            if (!answer(read.topic_index))
                break;
            continue;
        }
        MUST(read.bundle_size <= FUZZ_MOST_BYTES + MOST_TOPICS * 64);
        if (read.bundle_size)
            check_bundle(read.bundle_size);
        if (read.stop == STOP_FRAME)
            read.span_end = read.stopped_at + 1;
        else if (read.stop != STOP_SPAN)
            break;
        else if (policy & 32)
            settle_one(policy % topic_count);
    }
    free(data);
    begin = read.span_end > size ? size : read.span_end;
    if (rough && begin < size)
        begin = size;
    memmove(pending, pending + begin, pending_size - begin);
    pending_size -= begin;
}

/* ── the input ───────────────────────────────────────────────────────────────────────────────────────────── */

static void act(uint8_t action)
{
    uint32_t topic;
    int64_t numbers[3];
    size_t begin = pending_size, size;
    switch (action) {
    case 0:
        topic = (uint32_t)in(1);
        if (topic & 1)
            append(made, made_size); /* as a second line brings it again */
        else
            lane_remember(lane, topic & 2);
        break;
    case 1: make_message(); break;
    case 2:
    case 3: /* any text in a frame, any bytes without */
        size = in(2) % 2048;
        size = size > input_left ? input_left : size;
        append(input, size);
        input += size;
        input_left -= size;
        if (action == 2)
            frame_from(begin);
        break;
    case 4: read_lane(in(2) % (pending_size + 1)); break;
    case 5: read_lane(pending_size); break;
    case 6: settle(policy >> 6 & 1); break;
    case 7: settle_one((uint32_t)in(1)); break;
    case 8:
        topic = (uint32_t)in(1) % topic_count;
        models[topic].rule = in(1) & 1 ? RULE_RISING : RULE_CHAIN;
        models[topic].reach = (int64_t)(in(8) >> 1);
        for (size = 0; size < 3; size++)
            numbers[size] = (int64_t)in(8);
        arm(topic, numbers[0], numbers[1], numbers[2], policy >> 4 & 3);
        rough |= models[topic].passed > 0; /* an account is of one place */
        break;
    case 9:
        topic = (uint32_t)in(1);
        MUST(lane_block(lane, topic) == (topic < topic_count ? 0 : -1));
        if (topic < topic_count)
            models[topic].known = 0;
        break;
    case 10: policy = (uint8_t)in(1); break;
    case 11: fuzz_refuse_at = (long)in(1); break;
    case 12:
        close_lane();
        open_lane();
        rough = fuzz_refused = 0;
        break;
    case 13:
        settle(0);
        fuzz_age(lane, UINT32_MAX - in(1) % 3);
        break;
    case 14: in(1) & 1 ? invent_shape() : add_streams(40); break;
    case 15:
        slack = (uint8_t)in(1);
        received_ns = in(1) & 1 ? BEGAN_NS + (int64_t)in(4) : (int64_t)(in(8) >> 1);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    input_left = size;
    fuzz_refuse_at = -1;
    fuzz_refused = 0;
    pending_size = made_size = 0;
    policy = 12;
    slack = '.';
    received_ns = BEGAN_NS;
    rough = 0;
    open_lane();
    while (lane && input_left)
        act((uint8_t)in(1) & 15);
    if (lane) {
        check_counts();
        settle(0);
    }
    close_lane();
    MUST(fuzz_held == 0);
    return 0;
}
