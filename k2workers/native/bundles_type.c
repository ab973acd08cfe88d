/* Python's view of the aggregator's plain case. No rule stands here: arguments in, tuples out. */
#include "module.h"

#include "publish.h"

typedef struct {
    PyObject_HEAD
    struct publish *publish;
    PyObject *names; /* a list: topics by number */
    PyObject *held;  /* a list: the frames of this turn's bundles, whose bytes must stay */
} BundlesObject;

static BundlesObject *bundles_of(PyObject *self)
{
    return (BundlesObject *)self;
}

/* Bundles(schemas): the schemas of data. */
static PyObject *bundles_type_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *schemas;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "O:Bundles", &schemas))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *self = allocate(type, 0);
    if (!self)
        return NULL;
    BundlesObject *bundles = bundles_of(self);
    bundles->publish = publish_new();
    bundles->names = PyList_New(0);
    bundles->held = PyList_New(0);
    PyObject *each = PyObject_GetIter(schemas), *schema;
    if (!bundles->publish)
        PyErr_NoMemory();
    while (!PyErr_Occurred() && (schema = PyIter_Next(each))) {
        unsigned long number = PyLong_AsUnsignedLong(schema);
        Py_DECREF(schema);
        if (!PyErr_Occurred() && (number > UINT32_MAX || publish_add_schema(bundles->publish, (uint32_t)number)))
            PyErr_Format(PyExc_ValueError, "no schema can be %lu here", number);
    }
    Py_XDECREF(each);
    if (PyErr_Occurred())
        Py_CLEAR(self);
    return self;
}

static void bundles_type_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    BundlesObject *bundles = bundles_of(self);
    if (bundles->publish)
        publish_free(bundles->publish);
    Py_XDECREF(bundles->names);
    Py_XDECREF(bundles->held);
    release(self);
    Py_DECREF(type);
}

/* arm(topic, rule, last_id, sequence, continuity): whether bundles of it are taken from now on. Only between two turns. */
static PyObject *arm(PyObject *self, PyObject *args)
{
    BundlesObject *bundles = bundles_of(self);
    PyObject *topic;
    int rule;
    long long last_id;
    unsigned long long sequence;
    unsigned int continuity;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(args, "UiLKI:arm", &topic, &rule, &last_id, &sequence, &continuity))
        return NULL;
    const char *name = PyUnicode_AsUTF8AndSize(topic, &length);
    if (!name)
        return NULL;
    if (rule < PUBLISH_CHAIN || rule > PUBLISH_ANY || continuity > UINT16_MAX || publish_count(bundles->publish))
        return PyErr_Format(PyExc_ValueError, "a topic cannot be armed so, or not now");
    const struct publish_place place = {(enum publish_rule)rule, last_id, sequence, (uint16_t)continuity};
    int64_t number = publish_arm(bundles->publish, (const uint8_t *)name, (size_t)length, &place);
    if (number == PyList_Size(bundles->names) && PyList_Append(bundles->names, topic)) {
        publish_block(bundles->publish, (const uint8_t *)name, (size_t)length);
        return NULL;
    }
    return PyBool_FromLong(number >= 0);
}

static PyObject *block(PyObject *self, PyObject *topic)
{
    Py_ssize_t length;
    const char *name = PyUnicode_AsUTF8AndSize(topic, &length);
    if (!name)
        return NULL;
    publish_block(bundles_of(self)->publish, (const uint8_t *)name, (size_t)length);
    Py_RETURN_NONE;
}

static void forget_held(BundlesObject *bundles)
{
    PyList_SetSlice(bundles->held, 0, PyList_Size(bundles->held), NULL);
}

/* take(frame, begin): 0, or why the bundle that begins there is not taken; then give everything since ``publish`` to Python (``undone``). */
static PyObject *take(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    BundlesObject *bundles = bundles_of(self);
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "take takes 2 arguments");
    char *frame;
    Py_ssize_t size, begin = PyLong_AsSsize_t(args[1]);
    if (PyErr_Occurred() || PyBytes_AsStringAndSize(args[0], &frame, &size))
        return NULL;
    if (begin < 0 || begin > size)
        return PyErr_Format(PyExc_ValueError, "a bundle cannot begin there");
    if (PyList_Append(bundles->held, args[0]))
        return NULL;
    enum publish_why why = publish_take(bundles->publish, (const uint8_t *)frame + begin, (size_t)(size - begin));
    return PyLong_FromLong(why);
}

/* The frames of this turn so far, also the one that was not taken, in order. They are no longer held: nothing of the turn is taken. */
static PyObject *undone(PyObject *self, PyObject *unused)
{
    BundlesObject *bundles = bundles_of(self);
    PyObject *fresh = PyList_New(0);
    (void)unused;
    if (!fresh)
        return NULL;
    publish_undo(bundles->publish);
    PyObject *held = bundles->held;
    bundles->held = fresh;
    return held;
}

static PyObject *publication(BundlesObject *bundles, uint32_t at, uint64_t epoch, uint64_t publish_ns)
{
    struct publish_frame frame;
    publish_frame(bundles->publish, at, &frame);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)frame.size);
    if (!bytes)
        return NULL;
    publish_write(bundles->publish, at, epoch, publish_ns, (uint8_t *)PyBytes_AsString(bytes));
    PyObject *topic = PyList_GetItem(bundles->names, (Py_ssize_t)frame.topic);
    PyObject *sequence = PyLong_FromUnsignedLongLong(frame.sequence);
    PyObject *tuple = topic && sequence ? PyTuple_Pack(3, topic, sequence, bytes) : NULL;
    Py_XDECREF(sequence);
    Py_DECREF(bytes);
    return tuple;
}

/* publish(epoch, publish_ns): [(topic, sequence, frame)] of this turn. */
static PyObject *publish(PyObject *self, PyObject *args)
{
    BundlesObject *bundles = bundles_of(self);
    unsigned long long epoch, publish_ns;
    if (!PyArg_ParseTuple(args, "KK:publish", &epoch, &publish_ns))
        return NULL;
    uint32_t count = publish_count(bundles->publish);
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (uint32_t at = 0; list && at < count; at++) {
        PyObject *item = publication(bundles, at, epoch, publish_ns);
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, (Py_ssize_t)at, item);
    }
    if (list) {
        publish_done(bundles->publish);
        forget_held(bundles);
    }
    return list;
}

static PyObject *account_of(BundlesObject *bundles, uint32_t at)
{
    struct publish_account account;
    publish_account(bundles->publish, at, &account);
    PyObject *bars = account.bars ? Py_BuildValue("IILLy#", account.bars_schema, account.bars_count, (long long)account.bars_first,
                                                  (long long)account.bars_last, (const char *)account.bars, (Py_ssize_t)account.bars_size)
                                  : Py_NewRef(Py_None);
    PyObject *topic = bars ? PyList_GetItem(bundles->names, (Py_ssize_t)account.topic) : NULL;
    if (!topic) {
        Py_XDECREF(bars);
        return NULL;
    }
    return Py_BuildValue("OLKKLN", topic, (long long)account.last_id, (unsigned long long)account.sequence,
                         (unsigned long long)account.passed, (long long)account.lowest, bars);
}

/* [(topic, last_id, sequence, events, lowest first id, None or (schema, count, first_id, last_id, events) of the newest bars)] since the
 * last call. */
static PyObject *settle(PyObject *self, PyObject *unused)
{
    BundlesObject *bundles = bundles_of(self);
    (void)unused;
    uint32_t count = publish_account_count(bundles->publish);
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (uint32_t at = 0; list && at < count; at++) {
        PyObject *item = account_of(bundles, at);
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, (Py_ssize_t)at, item);
    }
    if (list)
        publish_settled(bundles->publish);
    return list;
}

static PyMethodDef bundles_methods[] = {
    {"arm", arm, METH_VARARGS, NULL},
    {"block", block, METH_O, NULL},
    {"take", (PyCFunction)(void (*)(void))take, METH_FASTCALL, NULL},
    {"undone", undone, METH_NOARGS, NULL},
    {"publish", publish, METH_VARARGS, NULL},
    {"settle", settle, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot bundles_slots[] = {
    {Py_tp_new, (void *)bundles_type_new},
    {Py_tp_dealloc, (void *)bundles_type_dealloc},
    {Py_tp_methods, bundles_methods},
    {0, NULL},
};

PyType_Spec bundles_spec = {"k2workers.native._native.Bundles", sizeof(BundlesObject), 0, Py_TPFLAGS_DEFAULT, bundles_slots};
