typedef int function(int);

static int counter = 3;
int shared[4] = {1, 2, 3, 4};
int *pointer = &shared[2];

int twice(int x) { return 2 * x; }
static int thrice(int x) { return 3 * x; }
function *table[] = {twice, thrice};

/* Right only if the pointer was relocated before. */
__attribute__((constructor)) static void start(void) { counter += *pointer; }

__attribute__((weak)) int missing(int);
extern int outside(int);

int apply(int which, int x) { return table[which & 1](x) + counter; }
int compare(int x) {
    function *volatile same = twice;
    return same(x) + 1000 * (same == table[0]);
}
int is_missing(int x) { return missing ? missing(x) : -1; }
int stack(int n) {
    volatile signed char bytes[64];
    for (int i = 0; i < 64; i++) bytes[i] = (signed char)(i * n);
    int sum = 0;
    for (int i = 0; i < 64; i++) sum = 31 * sum + bytes[i];
    return sum;
}
int next(int x) { shared[1] += x; return ++counter + *(&shared[1]); }
int leave(int x) { return x > 0 ? outside(x) : x; }
function *volatile escaped;
int leave_by_pointer(int x) { escaped = outside; return x > 0 ? escaped(x) : x; }
