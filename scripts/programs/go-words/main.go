// Counts words of standard input in goroutines, and prints statistics: maps, strings, floats, formatting, sorting, channels,
// deferred calls and a panic that is recovered from.
package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"sort"
	"strings"
	"sync"
	"unicode"
)

type count struct {
	word  string
	times int
}

// A shape, for calls through an interface.
type shape interface{ area() float64 }
type circle struct{ radius float64 }
type square struct{ side float64 }

func (c circle) area() float64 { return math.Pi * c.radius * c.radius }
func (s square) area() float64 { return s.side * s.side }

func words(line string) []string {
	return strings.FieldsFunc(strings.ToLower(line), func(r rune) bool { return !unicode.IsLetter(r) })
}

// Each worker counts the words of the lines that it gets; the counts are merged.
func countWords(lines []string, workers int) map[string]int {
	total := make(map[string]int)
	jobs := make(chan string)
	results := make(chan map[string]int, workers)
	var group sync.WaitGroup
	for n := 0; n < workers; n++ {
		group.Add(1)
		go func() {
			defer group.Done()
			own := make(map[string]int)
			for line := range jobs {
				for _, word := range words(line) {
					own[word]++
				}
			}
			results <- own
		}()
	}
	for _, line := range lines {
		jobs <- line
	}
	close(jobs)
	group.Wait()
	close(results)
	for own := range results {
		for word, times := range own {
			total[word] += times
		}
	}
	return total
}

func sorted(counts map[string]int) []count {
	var all []count
	for word, times := range counts {
		all = append(all, count{word, times})
	}
	sort.Slice(all, func(a, b int) bool {
		return all[a].times > all[b].times || all[a].times == all[b].times && all[a].word < all[b].word
	})
	return all
}

func element(numbers []float64, index int) (value float64, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("recovered: %v", problem)
		}
	}()
	return numbers[index], nil
}

func main() {
	var lines []string
	for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	all := sorted(countWords(lines, 3))
	total, squares := 0, 0.0
	for n, entry := range all {
		if n < 5 {
			fmt.Printf("%-8s %3d\n", entry.word, entry.times)
		}
		total += entry.times
		squares += float64(entry.times * entry.times)
	}
	mean := float64(total) / float64(len(all))
	fmt.Printf("%d words, %d different, mean %.4f, deviation %g\n", total, len(all), mean,
		math.Sqrt(squares/float64(len(all))-mean*mean))
	for _, s := range []shape{circle{2}, square{1.5}} {
		fmt.Printf("%T %v area %.6f\n", s, s, s.area())
	}
	_, err := element([]float64{math.Inf(1), math.NaN(), float64(float32(0.1))}, 3)
	fmt.Println(err, math.Float64bits(0.1), uint32(1)<<31, []float64{1e21, -0.5}, strings.Repeat("é", 3))
	fmt.Println(os.Args[1:], os.Getenv("MODE"))
	if len(all) == 0 {
		fmt.Fprintln(os.Stderr, "no words")
		os.Exit(4)
	}
}
