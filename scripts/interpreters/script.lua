-- Floats, strings, closures, sorting, coroutines, errors that are caught.
local lines = {}
local function line(format, ...) lines[#lines + 1] = string.format(format, ...) end

local values = {}
for n = 1, 40 do values[n] = math.sin(n) * math.exp(n / 10) end
table.sort(values)
line("least %.12g, median %.9f, most %.6e", values[1], values[20], values[40])

local function integral(f, from, to, steps)
  local width, sum = (to - from) / steps, 0.0
  for n = 0, steps - 1 do sum = sum + f(from + (n + 0.5) * width) end
  return sum * width
end
line("pi %.10f, e %.14g", 4 * integral(function(x) return 1 / (1 + x * x) end, 0, 1, 500), math.exp(1))
line("%s %s %s %d", 7 // 2, 7 / 2, 2 ^ 0.5, 1 << 40)

local primes = coroutine.wrap(function()
  for n = 2, math.huge do
    local is_prime = true
    for d = 2, math.floor(math.sqrt(n)) do is_prime = is_prime and n % d ~= 0 end
    if is_prime then coroutine.yield(n) end
  end
end)
local first = {}
for n = 1, 12 do first[n] = primes() end
line("primes %s", table.concat(first, " "))

local text = ("the quick brown fox"):gsub("%w+", function(word) return word:sub(1, 1):upper() .. word:sub(2) end)
line("%s, %q", text, "a\tb")
line("%s: %s", pcall(error, "caught"))
line("%s: %s", pcall(function() return nil + 1 end))
return table.concat(lines, "\n") .. "\n"
