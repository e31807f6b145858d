// A plugin of the emulator that counts executed instructions in a range of addresses. The count is the first 64-bit
// word of a file that the host reads.
//
// Arguments: count=PATH, from=ADDRESS, to=ADDRESS. The few functions of the emulator are declared here, so its header
// isn't needed.
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint64_t plugin_id;
struct block;
struct insn;
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*callback)(plugin_id, struct block *));
extern size_t qemu_plugin_tb_n_insns(const struct block *block);
extern struct insn *qemu_plugin_tb_get_insn(const struct block *block, size_t index);
extern uint64_t qemu_plugin_insn_vaddr(const struct insn *insn);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct insn *insn, int op, void *counter, uint64_t amount);

int qemu_plugin_version = 1;

static uint64_t *counter;
static uint64_t from, to;

static void translated(plugin_id id, struct block *block) {
    (void)id;
    for (size_t n = 0; n < qemu_plugin_tb_n_insns(block); n++) {
        struct insn *insn = qemu_plugin_tb_get_insn(block, n);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        if (address >= from && address < to) qemu_plugin_register_vcpu_insn_exec_inline(insn, 0, counter, 1);
    }
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int n = 0; n < argc; n++) {
        char *value = strchr(argv[n], '=');
        if (!value) return 1;
        *value++ = 0;
        if (!strcmp(argv[n], "from")) from = strtoull(value, NULL, 0);
        else if (!strcmp(argv[n], "to")) to = strtoull(value, NULL, 0);
        else if (!strcmp(argv[n], "count")) {
            int file = open(value, O_RDWR);
            if (file < 0) return 1;
            counter = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
            close(file);
            if (counter == MAP_FAILED) return 1;
        }
    }
    if (!counter) return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
