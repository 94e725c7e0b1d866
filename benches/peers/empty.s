# The least that can be executed: exit(0). The reference for what exec itself costs.
    .globl _start
_start:
    mov $231, %eax
    xor %edi, %edi
    syscall
    .section .note.GNU-stack, "", @progbits
