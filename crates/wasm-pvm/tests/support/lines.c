// Functions whose instructions have lines that are known: `// @NAME` marks the line of what is looked for.

extern int ext(int);

static inline int twice(int x) {
  return ext(x) * 2; // @inlined
}

__attribute__((noinline)) static int helper(int a, int b) {
  int first = ext(a); // @helper-first
  int second =
      ext(b + first); // @helper-second
  return first /
         second; // @end-helper
}

__attribute__((noinline)) static void poke(volatile int *p) {
  p[10] = 1; // @poke-0
  p[11] = 2; // @poke-1

  p[12] = 3; // @poke-2
}

__attribute__((export_name("run"))) int run(int n, volatile int *p) {
  int sum = 0;
  for (int i = 0; i < n; i++) {
    sum += ext(i); // @run-loop
  }
  switch (n) { // @switch
  case 0: ext(100); break; // @run-case-0
  case 1: ext(101); break; // @run-case-1
  case 2: ext(102); break; // @run-case-2
  case 3: ext(103); break; // @run-case-3
  }
  poke(p);
  sum += twice(sum);
  return sum + helper(sum, n); // @end-run
}

__attribute__((export_name("spare"))) long long spare(long long a, long long b) {
  return a / b + ext(1); // @spare
}

__attribute__((export_name("other"))) int other(int a, int b) {
  return ext(a) % ext(b); // @other
}

int dropped(int a) {
  return ext(a);
}
