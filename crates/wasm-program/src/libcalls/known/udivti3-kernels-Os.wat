;; operation: udivti3
;; domain: all
;; from: tests/fixtures/kernels/src/rt.c, clang -Os
(module
(memory 1)
(global $scratch (mut i32) (i32.const 65536))
(func $f0 (param i32 i64 i64 i64 i64) (result ) (local i32)
global.get $scratch
i32.const -32
i32.add
local.tee 5
global.set $scratch
local.get 5
local.get 1
local.get 2
local.get 3
local.get 4
local.get 5
i32.const 16
i32.add
call $f1
local.get 5
i64.load offset=0
local.set 4
local.get 0
local.get 5
i64.load offset=8
i64.store offset=8
local.get 0
local.get 4
i64.store offset=0
local.get 5
i32.const 32
i32.add
global.set $scratch
)
(func $f1 (param i32 i64 i64 i64 i64 i32) (result ) (local i32 i64 i64 i64 i64 i64 i64 i32 i32 i32 i32)
global.get $scratch
i32.const -16
i32.add
local.tee 6
global.set $scratch
block
block
local.get 4
i64.const 0
i64.ne
br_if 0
block
block
local.get 2
i64.const 0
i64.ne
br_if 0
local.get 1
local.get 1
local.get 3
i64.div_u
local.tee 7
local.get 3
i64.mul
i64.sub
local.set 3
i64.const 0
local.set 8
br 1
end
local.get 2
local.get 2
local.get 3
i64.div_u
local.tee 8
local.get 3
i64.mul
i64.sub
local.get 3
i64.clz
local.tee 9
i64.shl
local.get 1
i64.const 1
i64.shr_u
local.get 9
i64.const -1
i64.xor
i64.shr_u
i64.or
local.tee 10
local.get 10
local.get 3
local.get 9
i64.shl
local.tee 11
i64.const 32
i64.shr_u
local.tee 12
i64.div_u
local.tee 4
local.get 12
i64.mul
i64.sub
local.set 2
local.get 1
local.get 9
i64.shl
local.tee 3
i64.const 4294967295
i64.and
local.set 1
local.get 3
i64.const 32
i64.shr_u
local.set 3
local.get 11
i64.const 4294967295
i64.and
local.set 7
block
loop
block
local.get 4
i64.const 4294967295
i64.gt_u
br_if 0
local.get 4
local.get 7
i64.mul
local.get 2
i64.const 32
i64.shl
local.get 3
i64.or
i64.le_u
br_if 2
end
local.get 4
i64.const -1
i64.add
local.set 4
local.get 2
local.get 12
i64.add
local.tee 2
i64.const 4294967296
i64.lt_u
br_if 0
end
end
local.get 10
i64.const 32
i64.shl
local.get 3
i64.or
local.get 4
local.get 11
i64.mul
i64.sub
local.tee 10
local.get 10
local.get 12
i64.div_u
local.tee 2
local.get 12
i64.mul
i64.sub
local.set 3
block
loop
block
local.get 2
i64.const 4294967295
i64.gt_u
br_if 0
local.get 2
local.get 7
i64.mul
local.get 3
i64.const 32
i64.shl
local.get 1
i64.or
i64.le_u
br_if 2
end
local.get 2
i64.const -1
i64.add
local.set 2
local.get 3
local.get 12
i64.add
local.tee 3
i64.const 4294967296
i64.lt_u
br_if 0
end
end
local.get 10
i64.const 32
i64.shl
local.get 1
i64.or
local.get 2
local.get 11
i64.mul
i64.sub
local.get 9
i64.shr_u
local.set 3
local.get 2
local.get 4
i64.const 32
i64.shl
i64.add
local.set 7
end
local.get 5
i64.const 0
i64.store offset=8
local.get 5
local.get 3
i64.store offset=0
br 1
end
block
local.get 1
local.get 3
i64.ge_u
local.get 2
local.get 4
i64.ge_u
local.get 2
local.get 4
i64.eq
select
br_if 0
local.get 5
local.get 1
i64.store offset=0
local.get 5
local.get 2
i64.store offset=8
i64.const 0
local.set 7
i64.const 0
local.set 8
br 1
end
local.get 6
local.get 3
local.get 4
local.get 4
i64.clz
i32.wrap_i64
local.tee 13
local.get 2
i64.clz
i32.wrap_i64
local.tee 14
i32.sub
local.tee 15
call $f2
i64.const 0
local.set 8
local.get 2
local.get 6
i64.load offset=8
local.tee 4
i64.const 0
local.get 1
local.get 6
i64.load offset=0
local.tee 3
i64.ge_u
local.get 2
local.get 4
i64.ge_u
local.get 2
local.get 4
i64.eq
select
local.tee 16
select
i64.sub
local.get 1
local.get 3
i64.const 0
local.get 16
select
local.tee 12
i64.lt_u
i64.extend_i32_u
i64.sub
local.set 2
local.get 1
local.get 12
i64.sub
local.set 1
local.get 16
i64.extend_i32_u
local.set 7
block
local.get 15
i32.eqz
br_if 0
local.get 14
local.get 13
i32.sub
local.set 15
loop
local.get 1
local.tee 12
local.get 3
i64.const 1
i64.shr_u
local.get 4
i64.const 63
i64.shl
i64.or
local.tee 3
i64.const 0
local.get 12
local.get 3
i64.ge_u
local.get 2
local.get 4
i64.const 1
i64.shr_u
local.tee 4
i64.ge_u
local.get 2
local.get 4
i64.eq
select
local.tee 16
select
local.tee 9
i64.sub
local.set 1
local.get 2
local.get 4
i64.const 0
local.get 16
select
i64.sub
local.get 12
local.get 9
i64.lt_u
i64.extend_i32_u
i64.sub
local.set 2
local.get 7
i64.const 1
i64.shl
local.get 16
i64.extend_i32_u
i64.or
local.set 7
local.get 15
i32.const 1
i32.add
local.tee 15
br_if 0
end
end
local.get 5
local.get 1
i64.store offset=0
local.get 5
local.get 2
i64.store offset=8
end
local.get 0
local.get 7
i64.store offset=0
local.get 0
local.get 8
i64.store offset=8
local.get 6
i32.const 16
i32.add
global.set $scratch
)
(func $f2 (param i32 i64 i64 i32) (result ) (local i64)
block
block
local.get 3
i32.const 64
i32.and
i32.eqz
br_if 0
local.get 1
local.get 3
i64.extend_i32_u
i64.shl
local.set 2
i64.const 0
local.set 1
br 1
end
local.get 3
i32.eqz
br_if 0
local.get 1
i32.const 64
local.get 3
i32.sub
i64.extend_i32_u
i64.shr_u
local.get 2
local.get 3
i64.extend_i32_u
local.tee 4
i64.shl
i64.or
local.set 2
local.get 1
local.get 4
i64.shl
local.set 1
end
local.get 0
local.get 1
i64.store offset=0
local.get 0
local.get 2
i64.store offset=8
)
)
