/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MODEL_SWITCH_H
#define _MODEL_SWITCH_H

void switch_stack(void **from, void *to);

/*
 * Coroutines, for x86-64: what a function must leave as it was is on the stack, and
 * nothing of the other's may get there by way of the other registers.
 */

__asm__(".text\n"
	"switch_stack:\n"
	"	push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
	"	xor %eax, %eax; xor %ecx, %ecx; xor %edx, %edx; xor %esi, %esi\n"
	"	xor %edi, %edi; xor %r8d, %r8d; xor %r9d, %r9d; xor %r10d, %r10d\n"
	"	xor %r11d, %r11d\n"
	"	ret\n");

/* The stack pointer of a coroutine that begins with @begin, which never returns */
static void *new_stack(char *top, void (*begin)(void))
{
	void **sp = (void **)top;

	sp[-2] = begin;		/* sp[-1]: what a caller would have there */
	return &sp[-8];
}

#endif /* _MODEL_SWITCH_H */
