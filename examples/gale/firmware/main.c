// Firmware around the semaphore module: a scheduler with one lock and one queue, and a scenario that prints what happens.

#include <stdint.h>

struct thread {
    const char *name;
    int result;
    int is_ready;
};

struct k_sem {
    struct thread *head, *tail;
    uint32_t count, limit;
};

// The module.
void z_impl_k_sem_give(struct k_sem *sem);
int z_impl_k_sem_take(struct k_sem *sem, int64_t timeout);

void semihosting_write(const char *text);

static void print_number(int64_t number) {
    char digits[24];
    char *at = digits + sizeof digits;
    uint32_t value = number < 0 ? (uint32_t)-number : (uint32_t)number;
    *--at = 0;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    if (number < 0) *--at = '-';
    semihosting_write(at);
}

static void print(const char *text, int64_t number) {
    semihosting_write(text);
    semihosting_write(" ");
    print_number(number);
    semihosting_write("\n");
}

// ---- What the module imports ----

static uint32_t locked, unlocked;

uint32_t gale_w_spin_lock(void *lock) {
    (void)lock;
    return 0x100 + locked++;
}

void gale_w_spin_unlock(void *lock, uint32_t key) {
    (void)lock;
    if (key == 0x100 + unlocked) unlocked++;
}

int gale_w_reschedule(void *lock, uint32_t key) {
    gale_w_spin_unlock(lock, key);
    return 0;
}

struct thread *gale_w_unpend_first_thread(struct k_sem *queue) {
    struct thread *first = queue->head;
    queue->head = queue->tail = 0;
    return first;
}

void gale_w_arch_thread_return_value_set(struct thread *thread, uint32_t value) {
    thread->result = (int)value;
}

void gale_w_ready_thread(struct thread *thread) {
    thread->is_ready = 1;
    semihosting_write("ready: ");
    semihosting_write(thread->name);
    semihosting_write("\n");
}

// Nobody gives in time here.
int gale_w_pend_curr(void *lock, uint32_t key, struct k_sem *queue, int64_t timeout) {
    (void)queue;
    print("pend, ticks above 2^32:", timeout - ((int64_t)1 << 32));
    gale_w_spin_unlock(lock, key);
    return -11;
}

// ---- The scenario ----

int main(void) {
    struct k_sem sem = {.limit = 2};
    z_impl_k_sem_give(&sem);
    print("count after give:", sem.count);
    z_impl_k_sem_give(&sem);
    z_impl_k_sem_give(&sem);
    print("count at the limit:", sem.count);
    print("take:", z_impl_k_sem_take(&sem, 0));
    print("take:", z_impl_k_sem_take(&sem, 0));
    print("count:", sem.count);
    print("take without waiting:", z_impl_k_sem_take(&sem, 0));
    print("take with a timeout:", z_impl_k_sem_take(&sem, ((int64_t)1 << 32) + 5));
    struct thread waiter = {.name = "waiter", .result = -1};
    sem.head = sem.tail = &waiter;
    z_impl_k_sem_give(&sem);
    print("result of the waiter:", waiter.result);
    print("count:", sem.count);
    print("locks held at the end:", (int64_t)locked - unlocked);
    return waiter.is_ready && locked == unlocked ? 0 : 1;
}
