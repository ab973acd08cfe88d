/* Python's view of the native lane, and the module. No rule stands here: arguments in, tuples out. */
#include "module.h"

#include <limits.h>

#include "lane.h"

typedef struct {
    PyObject_HEAD
    struct lane *lane;
} LaneObject;

static struct lane *lane_of(PyObject *self)
{
    return ((LaneObject *)self)->lane;
}

static PyObject *refused(const char *what)
{
    return PyErr_Format(PyExc_ValueError, "the native lane cannot take this %s", what);
}

static PyObject *lane_type_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *prefix;
    Py_ssize_t length;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "y#:Lane", &prefix, &length))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    LaneObject *self = (LaneObject *)allocate(type, 0);
    if (!self)
        return NULL;
    self->lane = lane_new((const uint8_t *)prefix, (size_t)length);
    if (!self->lane) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void lane_type_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    if (lane_of(self))
        lane_free(lane_of(self));
    release(self);
    Py_DECREF(type);
}

/* For PyArg_ParseTuple, whose own formats take any number and drop its upper bits. */
static int to_uint32(PyObject *number, void *to)
{
    unsigned long long value = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred())
        return 0;
    if (value > UINT32_MAX) {
        refused("number");
        return 0;
    }
    *(uint32_t *)to = (uint32_t)value;
    return 1;
}

/* A sequence of small whole numbers into an array; their count, or -1 with an exception. */
static int read_ints(PyObject *sequence, int *to, int most)
{
    Py_ssize_t count = PySequence_Size(sequence);
    if (count < 0)
        return -1;
    if (count > most) {
        refused("shape");
        return -1;
    }
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *item = PySequence_GetItem(sequence, at);
        long value = item ? PyLong_AsLong(item) : -1;
        Py_XDECREF(item);
        if (value == -1 && PyErr_Occurred())
            return -1;
        if (value < INT_MIN || value > INT_MAX) {
            refused("shape");
            return -1;
        }
        to[at] = (int)value;
    }
    return (int)count;
}

/* add_shape(items, fields, meanings): items is a tuple of (type, slot, literal, low, high, unit); meanings are the slots of first_id, last_id,
 * made, venue_time, link_first, link_last. Returns the shape's number. */
static PyObject *add_shape(PyObject *self, PyObject *args)
{
    PyObject *items, *fields, *meanings;
    if (!PyArg_ParseTuple(args, "OOO:add_shape", &items, &fields, &meanings))
        return NULL;
    struct lane_item read[LANE_MAX_ITEMS];
    int numbers[LANE_MAX_FIELDS], slots[6];
    Py_ssize_t count = PyTuple_Check(items) ? PyTuple_Size(items) : LANE_MAX_ITEMS + 1;
    if (count > LANE_MAX_ITEMS)
        return refused("shape");
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *item = PyTuple_GetItem(items, at); /* a tuple keeps its items, and so their literals, until we return */
        const char *literal = NULL;
        Py_ssize_t length = 0;
        int type, slot;
        unsigned long long low, high, unit;
        int parsed = PyTuple_Check(item)
                     && PyArg_ParseTuple(item, "iiy#KKK", &type, &slot, &literal, &length, &low, &high, &unit);
        if (!parsed)
            return PyErr_Occurred() ? NULL : refused("shape");
        if (type < 0 || length > UINT16_MAX)
            return refused("shape");
        read[at] = (struct lane_item){(enum lane_item_type)type, slot, (const uint8_t *)literal, (uint32_t)length, low, high, unit};
    }
    struct lane_shape_spec spec = {.items = read, .item_count = (int)count, .fields = numbers};
    spec.field_count = read_ints(fields, numbers, LANE_MAX_FIELDS);
    if (spec.field_count < 0)
        return NULL;
    int found = read_ints(meanings, slots, 6);
    if (found < 0)
        return NULL;
    if (found != 6)
        return refused("shape");
    spec.first_id = slots[0];
    spec.last_id = slots[1];
    spec.made = slots[2];
    spec.venue_time = slots[3];
    spec.link_first = slots[4];
    spec.link_last = slots[5];
    int shape = lane_add_shape(lane_of(self), &spec);
    return shape < 0 ? refused("shape") : PyLong_FromLong(shape);
}

/* add_stream(name, symbol, topic, topic_index, kind, shape, schema): whether the lane can take it. */
static PyObject *add_stream(PyObject *self, PyObject *args)
{
    const char *name, *symbol, *topic;
    Py_ssize_t name_length, symbol_length, topic_length;
    uint32_t topic_index, kind, schema;
    int shape;
    if (!PyArg_ParseTuple(args, "y#y#y#O&O&iO&:add_stream", &name, &name_length, &symbol, &symbol_length, &topic, &topic_length,
                          to_uint32, &topic_index, to_uint32, &kind, &shape, to_uint32, &schema))
        return NULL;
    const struct lane_stream_spec spec = {
        (const uint8_t *)name, (size_t)name_length, (const uint8_t *)symbol, (size_t)symbol_length,
        (const uint8_t *)topic, (size_t)topic_length, topic_index, kind, shape, schema,
    };
    return PyBool_FromLong(lane_add_stream(lane_of(self), &spec) == 0);
}

/* arm(topic_index, rule, last_id, reach, made, link, continuity, drop_copies) */
static PyObject *arm(PyObject *self, PyObject *args)
{
    uint32_t topic_index, continuity;
    int rule, drop_copies;
    long long last_id, reach, made, link;
    if (!PyArg_ParseTuple(args, "O&iLLLLO&i:arm", to_uint32, &topic_index, &rule, &last_id, &reach, &made, &link, to_uint32,
                          &continuity, &drop_copies))
        return NULL;
    const struct lane_place place = {(enum lane_rule)rule, last_id, reach, made, link, continuity, drop_copies};
    if (rule != RULE_CHAIN && rule != RULE_RISING)
        return refused("rule");
    if (lane_arm(lane_of(self), topic_index, &place))
        return refused("place");
    Py_RETURN_NONE;
}

static PyObject *block(PyObject *self, PyObject *arg)
{
    uint32_t topic_index;
    if (!to_uint32(arg, &topic_index))
        return NULL;
    lane_block(lane_of(self), topic_index);
    Py_RETURN_NONE;
}

static PyObject *remember(PyObject *self, PyObject *arg)
{
    int whether = PyObject_IsTrue(arg);
    if (whether < 0)
        return NULL;
    lane_remember(lane_of(self), whether);
    Py_RETURN_NONE;
}

/* take(buffer, begin, filled, received_ns, now_ns, head):
 * (stop, stopped_at, span_end, frames, topic_index, newest_ns, head and bundle or None) */
static PyObject *take(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 6)
        return PyErr_Format(PyExc_TypeError, "take takes 6 arguments");
    Py_ssize_t begin = PyLong_AsSsize_t(args[1]), filled = PyLong_AsSsize_t(args[2]);
    long long received_ns = PyLong_AsLongLong(args[3]), now_ns = PyLong_AsLongLong(args[4]);
    if (PyErr_Occurred())
        return NULL;
    char *head;
    Py_ssize_t head_size;
    if (PyBytes_AsStringAndSize(args[5], &head, &head_size))
        return NULL;
    Py_buffer buffer;
    if (PyObject_GetBuffer(args[0], &buffer, PyBUF_SIMPLE))
        return NULL;
    struct lane_read read;
    PyObject *bundle = NULL;
    if (begin < 0 || filled < begin || received_ns < 0 || filled > buffer.len - LANE_SLACK) {
        refused("buffer");
    } else if (lane_take(lane_of(self), buffer.buf, (size_t)begin, (size_t)filled, received_ns, now_ns, &read)) {
        PyErr_NoMemory();
    } else if (!read.bundle_size) {
        bundle = Py_NewRef(Py_None);
    } else {
        bundle = PyBytes_FromStringAndSize(NULL, head_size + (Py_ssize_t)read.bundle_size);
        if (bundle) {
            char *to = PyBytes_AsString(bundle);
            memcpy(to, head, (size_t)head_size);
            lane_write(lane_of(self), (uint8_t *)to + head_size);
        }
    }
    PyBuffer_Release(&buffer);
    if (!bundle)
        return NULL;
    return Py_BuildValue("innIILN", (int)read.stop, (Py_ssize_t)read.stopped_at, (Py_ssize_t)read.span_end, read.frames,
                         read.topic_index, (long long)read.newest_ns, bundle);
}

/* [(topic_index, first_id, last_id)] of what came in the last read, copies too. */
static PyObject *touched(PyObject *self, PyObject *unused)
{
    (void)unused;
    uint32_t count = lane_touched_count(lane_of(self));
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (uint32_t at = 0; list && at < count; at++) {
        uint32_t topic_index;
        int64_t first_id, last_id;
        lane_touched(lane_of(self), at, &topic_index, &first_id, &last_id);
        PyObject *item = Py_BuildValue("ILL", topic_index, (long long)first_id, (long long)last_id);
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, (Py_ssize_t)at, item);
    }
    return list;
}

static PyObject *account_of(const struct lane_account *account)
{
    return Py_BuildValue("ILKKLy#", account->topic_index, (long long)account->last_id, (unsigned long long)account->passed,
                         (unsigned long long)account->duplicates, (long long)account->heard_ns, (const char *)account->newest,
                         (Py_ssize_t)account->newest_size);
}

/* settle_one(topic_index): the account of this topic as in ``settle``, or None; from now on its place is not known. */
static PyObject *settle_one(PyObject *self, PyObject *arg)
{
    struct lane_account account;
    uint32_t topic_index;
    if (!to_uint32(arg, &topic_index))
        return NULL;
    if (!lane_settle_one(lane_of(self), topic_index, &account))
        Py_RETURN_NONE;
    return account_of(&account);
}

/* [(topic_index, last_id, passed, duplicates, heard_ns, newest or None)] since the last call. settle(keep): unless ``keep``, no place is known from now on. */
static PyObject *settle(PyObject *self, PyObject *arg)
{
    int keep = PyObject_IsTrue(arg);
    if (keep < 0)
        return NULL;
    uint32_t count = lane_account_count(lane_of(self));
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (uint32_t at = 0; list && at < count; at++) {
        struct lane_account account;
        lane_account(lane_of(self), at, &account);
        PyObject *item = account_of(&account);
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, (Py_ssize_t)at, item);
    }
    if (list)
        lane_settled(lane_of(self), keep);
    return list;
}

/* counts(kind): messages taken, and those left to Python by why. */
static PyObject *counts(PyObject *self, PyObject *arg)
{
    uint32_t kind;
    if (!to_uint32(arg, &kind))
        return NULL;
    struct lane *lane = lane_of(self);
    return Py_BuildValue("KKKKK", (unsigned long long)lane_taken(lane, kind),
                         (unsigned long long)lane_left(lane, kind, WHY_SHAPE),
                         (unsigned long long)lane_left(lane, kind, WHY_STREAM),
                         (unsigned long long)lane_left(lane, kind, WHY_TOPIC),
                         (unsigned long long)lane_left(lane, kind, WHY_ORDER));
}

static PyMethodDef lane_methods[] = {
    {"add_shape", add_shape, METH_VARARGS, NULL},
    {"add_stream", add_stream, METH_VARARGS, NULL},
    {"arm", arm, METH_VARARGS, NULL},
    {"block", block, METH_O, NULL},
    {"remember", remember, METH_O, NULL},
    {"take", (PyCFunction)(void (*)(void))take, METH_FASTCALL, NULL},
    {"touched", touched, METH_NOARGS, NULL},
    {"settle", settle, METH_O, NULL},
    {"settle_one", settle_one, METH_O, NULL},
    {"counts", counts, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot lane_slots[] = {
    {Py_tp_new, (void *)lane_type_new},
    {Py_tp_dealloc, (void *)lane_type_dealloc},
    {Py_tp_methods, lane_methods},
    {0, NULL},
};

static PyType_Spec lane_spec = {"k2workers.native._native.Lane", sizeof(LaneObject), 0, Py_TPFLAGS_DEFAULT, lane_slots};

static int add_type(PyObject *module, const char *name, PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);
    if (!type)
        return -1;
    int failed = PyModule_AddObjectRef(module, name, type);
    Py_DECREF(type);
    return failed;
}

static int fill_module(PyObject *module)
{
    return add_type(module, "Lane", &lane_spec) || add_type(module, "Bundles", &bundles_spec)
           || PyModule_AddStringConstant(module, "SOURCE", K2_SOURCE) || PyModule_AddIntConstant(module, "SLACK", LANE_SLACK);
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, (void *)fill_module}, {0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_native", .m_size = 0, .m_slots = module_slots};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
