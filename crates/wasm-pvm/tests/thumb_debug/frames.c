// Functions with all kinds of frames.

extern int ext(int);

__attribute__((noinline)) static int early(int a) {
  if (a < 2)
    return a;
  return ext(a) * 3 + ext(a + 1);
}

__attribute__((noinline)) static int large(int n) {
  volatile int words[400];
  for (int i = 0; i < 3; i++)
    words[i * 100] = ext(i + n);
  return words[200];
}

__attribute__((noinline)) static int aligned(int n) {
  _Alignas(64) volatile int words[16];
  for (int i = 0; i < 3; i++)
    words[i] = ext(i + n);
  return words[1] + ext((int)(long)words & 63);
}

__attribute__((noinline)) static int tail(int n) {
  int sum = ext(n) + ext(n + 1);
  __attribute__((musttail)) return early(sum);
}

__attribute__((noinline)) static int many(int a, int b, int c, int d, int e, int f, int g, int h) {
  int sum = ext(a) + ext(b) * c + ext(d) * e;
  return sum + ext(f) * g + h;
}

__attribute__((noinline)) static int choose(int n) {
  switch (n & 7) {
  case 0: return ext(3);
  case 1: return ext(n) + 17;
  case 2: return n * 5;
  case 3: return ext(n) * ext(9);
  case 4: return 7;
  case 5: return ext(n + 6) + ext(2);
  default: return ext(1);
  }
}

__attribute__((noinline)) static int floats(int n) {
#ifdef FLOATS
  double a = n, b = a * 1.5, c = b + 3.0, d = c * a;
  int x = ext((int)a);
  int y = ext((int)b);
  return x + y + (int)(a + b * c - d);
#else
  return n;
#endif
}

__attribute__((export_name("run"))) int run(int n) {
  int sum = early(n) + large(n) + aligned(n) + tail(n) + many(n, 1, 2, 3, 4, 5, 6, 7) + floats(n);
  for (int i = 0; i < 6; i++)
    sum += choose(i);
  return sum;
}
